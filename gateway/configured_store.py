"""Makes the store, and connects the gateway with the others on its database, if there can be any."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from secrets import token_hex

from gateway.contract.access import Access
from gateway.contract.signals import KEYS, MEMBERS, SETTINGS, Signals
from gateway.core.access import OwnerAccess
from gateway.core.adoption import Adoption
from gateway.core.checkpoints import Checkpoints
from gateway.core.liveness import Liveness
from gateway.core.refreshing import Nudge
from gateway.core.retention import Retention
from gateway.core.runs import Runs
from gateway.settings import Settings, SettingsError
from gateway.store.rooms import RoomLimits
from gateway.store.sql_store import SqlStore

OWNERS_ONLY = OwnerAccess()


def store_of(settings: Settings, access: Access = OWNERS_ONLY) -> SqlStore:
    try:
        return SqlStore(
            settings.database_url,
            access=access,
            owner=f"{settings.gateway_name}/{token_hex(8)}",
            internal_url=settings.internal_url or None,
            sessions_per_user=settings.sessions_per_user,
            templates_per_user=settings.templates_per_user,
            attachment_bytes_per_user=settings.attachment_bytes_per_user,
            room_limits=RoomLimits(settings.room_members, settings.rooms_per_user),
        )
    except ValueError as error:
        raise SettingsError(f"DATABASE_URL is not allowed: {error}") from error


def retention_of(settings: Settings, store: SqlStore) -> Retention:
    return Retention(
        store.deletions,
        days=settings.retention_days,
        messages_per_session=settings.messages_per_session,
        audit_days=settings.audit_retention_days,
        clock=store.membership.clock.utc,
    )


@asynccontextmanager
async def joined(
    store: SqlStore,
    runs: Runs,
    checkpoints: Checkpoints,
    adoption: Adoption,
    on_change: Callable[[Collection[str], Collection[str]], None],
) -> AsyncIterator[None]:
    """Be one of the gateways on the database during the block, and take over the replies of dead ones.

    On SQLite all other gateways are dead, because the file is locked: `adoption` takes their replies over
    when it begins. on_change: as in Liveness.
    """

    def fence(fenced: bool) -> None:
        if fenced:
            checkpoints.check_owners(None)
            runs.fence(True)
        else:
            checkpoints.check_owners(lambda: runs.fence(False))

    membership = store.membership
    async with membership.signals.running():
        if membership.gateways is None:
            yield
        else:
            liveness = Liveness(
                membership.gateways,
                adoption.take_over,
                fence,
                made_here=lambda: [run.stream_id for run in runs.all()],
                on_change=on_change,
            )
            async with liveness.running():
                yield


def wake_on_signals(signals: Signals, keys: Nudge, settings: Nudge) -> None:
    """Read API keys, settings and members of rooms again when another process has changed them."""
    signals.on(KEYS, lambda _: keys.wake())
    signals.on(SETTINGS, lambda _: settings.wake())
    signals.on(MEMBERS, lambda _: settings.wake())
    signals.on_missed(keys.wake)
    signals.on_missed(settings.wake)
