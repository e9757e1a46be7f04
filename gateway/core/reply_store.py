"""The interface for storing one question and its reply, and the implementation that stores nothing."""

from typing import Protocol

from gateway.contract.errors import NotFound
from gateway.contract.exchanges import Exchange, FinalReply, NewExchange


class ReplyStore(Protocol):
    """The methods of MessageStore that one reply needs."""

    async def begin(self, exchange: NewExchange) -> Exchange: ...

    async def exchange(self, user_id: str, stream_id: str) -> Exchange: ...

    async def finish(self, reply: FinalReply) -> bool: ...

    def finish_later(self, reply: FinalReply) -> None: ...


class DiscardingStore:
    """Stores nothing: ids are 0, and keys and uuids are empty."""

    async def begin(self, exchange: NewExchange) -> Exchange:
        return Exchange(0, "", "", 0, 0, "", opens_session=False)

    async def exchange(self, user_id: str, stream_id: str) -> Exchange:
        raise NotFound("No such stream.")

    async def finish(self, reply: FinalReply) -> bool:
        return True

    def finish_later(self, reply: FinalReply) -> None:
        pass
