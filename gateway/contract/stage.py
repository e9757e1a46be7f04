"""The interface of a stage, which answers a request itself or passes it on towards the transport."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from gateway.contract.events import Delivery, Done
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Hear

Next = Callable[[ChatRequest, Hear], Awaitable[Done]]
"""The stages after this one, then the transport with its failover."""


class Stage(Protocol):
    """Subclass it to inherit the default of `expects`. One instance serves all replies, many at a time."""

    async def answer(self, request: ChatRequest, hear: Hear, next: Next) -> Done:
        """Produce one reply, usually by awaiting `next`, at most once.

        The rules of Transport.answer apply: a stage lets CancelledError and every other exception of `next`
        pass, since cancelling stops the reply. A stage may give `next` its own `hear`, which returns the
        result of the original one. It is called once per network read: keep it short.
        """
        ...

    def expects(self, request: ChatRequest) -> Delivery | None:
        """Return the `delivery` of this stage's reply to the request; None if it would pass the request on.

        Called before the question is stored, for the Started event. It must not block.
        """
        return None
