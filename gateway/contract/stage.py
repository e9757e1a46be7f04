"""A stage stands between a question and the transport: it answers itself, or lets the question pass."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from gateway.contract.events import Delivery, Done
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Hear

Next = Callable[[ChatRequest, Hear], Awaitable[Done]]
"""The rest of the way to the model: the stages behind this one, then the transport with its failover."""


class Stage(Protocol):
    """Subclass it, for the default of `expects`. One stage serves all replies, many at once."""

    async def answer(self, request: ChatRequest, hear: Hear, next: Next) -> Done:
        """Make one reply, mostly by awaiting `next`, at most once.

        The promises are those of Transport.answer. So a stage lets CancelledError and every other exception
        of `next` pass (cancelling is the stop), and returns what `hear` returns when it passes events on. A
        stage that gives `next` a `hear` of its own is called once for each network read: keep it short.
        """
        ...

    def expects(self, request: ChatRequest) -> Delivery | None:
        """The `delivery` that this stage would give to the reply if it was asked now; None to leave it open.

        Called before the question is saved, so that readers can be told. It answers at once.
        """
        return None
