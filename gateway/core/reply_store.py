"""Where a question and its reply are kept: in the store, or nowhere."""

from typing import Protocol

from gateway.contract.store import Exchange, FinalReply, NewExchange


class ReplyStore(Protocol):
    """A MessageStore, as far as one reply needs it."""

    async def begin(self, exchange: NewExchange) -> Exchange: ...

    async def finish(self, reply: FinalReply) -> bool: ...

    def finish_later(self, reply: FinalReply) -> None: ...


class DiscardingStore:
    """Keeps nothing: ids are 0, and session and message have no names."""

    async def begin(self, exchange: NewExchange) -> Exchange:
        return Exchange(0, "", "", 0, 0, "", opens_session=False)

    async def finish(self, reply: FinalReply) -> bool:
        return True

    def finish_later(self, reply: FinalReply) -> None:
        pass
