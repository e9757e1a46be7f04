"""A store that refuses the ends of replies for as long as a test wants."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.contract.errors import StorageFailed
from gateway.contract.exchanges import FinalReply
from gateway.contract.store import MessageStore


class Fickle:
    """A store whose `finish` fails while `refusing`; `first_try` is awaited before the first answer."""

    def __init__(self, store: MessageStore) -> None:
        self._store = store
        self.refusing = False
        self.tried = asyncio.Event()
        self.first_try: Callable[[], Awaitable[object]] | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def finish(self, reply: FinalReply) -> bool:
        self.tried.set()
        if self.first_try is not None:
            first_try, self.first_try = self.first_try, None
            await first_try()
        if self.refusing:
            raise StorageFailed("The disk is full.")
        return await self._store.finish(reply)

    def finish_later(self, reply: FinalReply) -> None:
        self._store.finish_later(reply)
