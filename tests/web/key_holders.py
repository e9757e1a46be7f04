"""Users with keys, at a gateway of the tests' own."""

from datetime import datetime

from gateway.contract.keys import NewKey, Permission
from gateway.core.key_ring import digest_of, draw_key, shown_of
from gateway.store.sql_store import SqlStore
from tests.web.gateway_server import Served

CHAT: frozenset[Permission] = frozenset({"chat"})


def keys_of(gateway: Served) -> SqlStore:
    """The store, whose keys the command line changes."""
    store = gateway.assembled.gateway.store
    assert isinstance(store, SqlStore)
    return store


async def make_key(
    gateway: Served,
    user_id: str,
    permissions: frozenset[Permission] = CHAT,
    *,
    rate_per_minute: int | None = None,
    streams: int | None = None,
    tokens_per_day: int | None = None,
    expires_at: datetime | None = None,
) -> str:
    """A key that the gateway knows already."""
    key = draw_key()
    await keys_of(gateway).keys.create(
        NewKey(
            digest_of(key),
            shown_of(key),
            user_id,
            "",
            permissions,
            rate_per_minute,
            streams,
            tokens_per_day,
            expires_at,
        )
    )
    await gateway.assembled.gateway.keys.refresh()
    return key


async def revoke_all(gateway: Served) -> None:
    store = keys_of(gateway)
    for stored in await store.keys.all():
        await store.keys.revoke(stored.id)
    await gateway.assembled.gateway.keys.refresh()


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}
