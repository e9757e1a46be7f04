"""Checks whether another gateway makes a reply, which must then get the request."""

from collections.abc import Collection, Sequence

from gateway.contract.store import StoredMessage
from gateway.core.run import Run
from gateway.web.relay.relay import RunsElsewhere
from gateway.web.services import Services


async def check_ended(gateway: Services, message: StoredMessage) -> None:
    """Raise RunsElsewhere if the reply of this row runs. Call this if no run of this gateway makes it."""
    if gateway.relay is not None and message.status == "streaming":
        raise RunsElsewhere(await gateway.relay.owners.of_reply(message.stream_id or ""))


async def was_told_elsewhere(gateway: Services, run: Run) -> bool:
    """Return whether a reader of this run may have an event id that its journal does not have: another
    gateway tells an ended reply from the store. Raises RunsElsewhere if another one has taken the run over,
    which this one has not noticed yet."""
    if gateway.relay is None:
        return False
    exchange = await gateway.store.exchange(run.user_id, run.stream_id)
    if exchange.epoch != run.exchange.epoch:
        raise RunsElsewhere(await gateway.relay.owners.of_reply(run.stream_id))
    return run.ended.is_set()


async def live_sessions(gateway: Services, session_ids: Sequence[int]) -> Collection[int]:
    """Return those of the sessions in which a reply is generated, here or at another gateway."""
    here = {run.exchange.session_id for run in gateway.runs.all()}.intersection(session_ids)
    return here if gateway.relay is None else here.union(await gateway.relay.owners.busy(session_ids))


async def check_session_is_idle(gateway: Services, session_id: int) -> None:
    """Raise RunsElsewhere if a reply runs in the session. Call this if no run of this gateway does."""
    if gateway.relay is None:
        return
    owner = await gateway.relay.owners.in_session(session_id)
    if owner is not None:
        raise RunsElsewhere(owner)
