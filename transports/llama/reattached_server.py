"""Finds the one of several servers that has a reply, and receives it from there."""

from collections.abc import Awaitable, Sequence

from gateway.contract.errors import Interrupted, TransportError
from gateway.contract.events import Done, TransportEvent
from gateway.contract.reattach import Handle, Reattach
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Hear
from transports.llama.known_server import KnownServer

SERVER = "server"
"""Entry of the handle: the address of a server that got the request after another one had failed."""


def note_server(request: ChatRequest, chosen: KnownServer | None) -> None:
    """Store the server that gets the request next: the failed one may still generate the reply."""
    kept = request.reattachable
    if kept is not None and chosen is not None:
        kept.keep_handle({"conversation_id": kept.conversation_id, SERVER: chosen.address})


def that_may_have(servers: Sequence[KnownServer], handle: Handle) -> Sequence[KnownServer]:
    """Return the servers that may have the reply: the one in its handle, else all."""
    noted = handle.get(SERVER)
    return [known for known in servers if known.address == noted] or servers


async def reattached(servers: Sequence[KnownServer], wanted: Reattach, hear: Hear) -> Done:
    """Receive the rest of a reply from the server that has it; see Abilities.reattach.

    The servers are asked one after the other, those that are away last. Raises Interrupted if none has it,
    and TransportError if one that may have it cannot be asked.
    """
    away: TransportError | None = None
    gone = Interrupted("The gateway ended before the reply did, and no model server has it.")
    asked = sorted(that_may_have(servers, wanted.handle), key=lambda known: not known.well)
    wanted = replace(wanted, find_within_s=wanted.find_within_s / len(asked))
    for known in asked:
        attempt = _Attempt(known, hear)
        try:
            return await attempt.reattach(wanted)
        except (Interrupted, TransportError) as error:
            if attempt.has_begun:
                raise
            if isinstance(error, Interrupted):
                gone = error
            else:
                away = error
    raise away or gone


class _Attempt:
    """One reply at one server, which may be slow to answer until it has sent something."""

    def __init__(self, known: KnownServer, hear: Hear) -> None:
        self._known = known
        self._hear = hear
        self.has_begun = False

    async def reattach(self, wanted: Reattach) -> Done:
        known = self._known
        known.open += 1
        known.reattaching += 1
        try:
            return await known.server.abilities.reattach(wanted, self._hear_first)
        finally:
            known.open -= 1
            known.reattaching -= not self.has_begun

    def _hear_first(self, events: Sequence[TransportEvent]) -> Awaitable[None] | None:
        if not self.has_begun:
            self.has_begun = True
            self._known.reattaching -= 1
        return self._hear(events)
