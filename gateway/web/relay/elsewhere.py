"""Checks whether another gateway makes a reply, which must then get the request."""

from gateway.contract.store import StoredMessage
from gateway.web.relay.relay import RunsElsewhere
from gateway.web.services import Services


async def check_ended(gateway: Services, message: StoredMessage) -> None:
    """Raise RunsElsewhere if the reply of this row runs. Call this if no run of this gateway makes it."""
    if gateway.relay is not None and message.status == "streaming":
        raise RunsElsewhere(await gateway.relay.owners.of_reply(message.stream_id or ""))


async def check_session_is_idle(gateway: Services, session_id: int) -> None:
    """Raise RunsElsewhere if a reply runs in the session. Call this if no run of this gateway does."""
    if gateway.relay is None:
        return
    owner = await gateway.relay.owners.in_session(session_id)
    if owner is not None:
        raise RunsElsewhere(owner)
