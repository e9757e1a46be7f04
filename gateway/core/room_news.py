"""Tells a room's listeners of its messages in the order of their ids, without gaps."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from gateway.contract.authors import Author
from gateway.contract.errors import GatewayError, NotFound
from gateway.contract.notes import posted
from gateway.contract.record import replace
from gateway.contract.replies_elsewhere import RepliesElsewhere, RunningReply
from gateway.contract.room_events import MessagePosted
from gateway.contract.store import MessageStore, StoredMessage, StoredSession
from gateway.core.room_channel import RoomChannel
from gateway.core.run import Run
from gateway.core.session_news import Listener, MessageStored, News, ReplyStarted

log = logging.getLogger("sluice.rooms")

PAGE = 200

SETTLE_S = 1.0
"""Seconds after which another gateway knows that a room has listeners here. It sends no news before."""


class LastMessage(Protocol):
    async def __call__(self, session_id: int, *, before: int | None = None) -> int:
        """See RoomStore.last_message."""
        ...


class RoomNews:
    """The news of one room.

    A message of another gateway may be stored before one of this gateway, and its signal come later. A client
    keeps one number, `after`, so it must have all messages before one: those are read from the store first,
    and the late signal is dropped.

    Args:
        listener: of the room's session.
        called: set when there are news.
        last_message: see LastMessage.
    """

    def __init__(
        self,
        channel: RoomChannel,
        listener: Listener,
        called: asyncio.Event,
        store: MessageStore,
        last_message: LastMessage,
    ) -> None:
        self._channel = channel
        self._session = channel.session
        self._listener = listener
        self._called = called
        self._store = store
        self._last_message = last_message
        self._told_whole: set[int] = set()
        """Ids of replies that were told with their end, and whose beginning may still be news."""
        self._latest: tuple[int, Author | None] = 0, None
        """Id and author of the newest message that listeners have."""

    async def tell(self, runs_of: Callable[[int], Iterable[Run]], elsewhere: RepliesElsewhere | None) -> None:
        """Tell the listeners of all that happens. Return when news were lost.

        Args:
            runs_of: returns the replies of a session that run here.
            elsewhere: replies of other gateways; None if there can be none.
        """
        channel = self._channel
        try:
            await self._tell_until(await self._last_message(self._session.id))
            for run in runs_of(self._session.id):
                ids = run.exchange
                reply = RunningReply(run.stream_id, ids.assistant_message_id, ids.user_message_id)
                await self._follow(reply)
            if elsewhere is not None:
                for reply in await elsewhere.in_session(self._session.id):
                    await self._follow(reply)
            channel.ready.set()
            settles = None if elsewhere is None else asyncio.get_running_loop().time() + SETTLE_S
            while not self._listener.closed:
                self._called.clear()
                while (news := self._listener.take()) is not None:
                    await self._tell(news)
                try:
                    async with asyncio.timeout_at(settles):
                        await self._called.wait()
                except TimeoutError:
                    settles = None
                    await self._tell_until(await self._last_message(self._session.id))
        except GatewayError as error:
            log.info("room %s: its listeners must join again: %s", self._session.key, error)

    async def _tell(self, news: News) -> None:
        match news:
            case MessageStored(id):
                await self._tell_until(id)
            case MessagePosted(id) if id > self._channel.newest:
                await self._tell_before(id)
                self._say(news)
            case ReplyStarted(stream_id, id, question_id):
                await self._tell_before(id)
                if not await self._was_told_whole(id):
                    await self._follow(RunningReply(stream_id, id, question_id))
                    self._channel.newest = max(self._channel.newest, id)

    async def _tell_before(self, id: int) -> None:
        """Tell the messages before one of which the listeners were not told."""
        if self._channel.newest < id - 1:
            await self._tell_until(await self._last_message(self._session.id, before=id))

    async def _tell_until(self, id: int) -> None:
        """Tell the stored messages up to this one."""
        session = self._session
        while (newest := self._channel.newest) < id:
            page = await self._store.messages(session.user_id, session.id, after=newest, limit=PAGE)
            for message in page:
                if message.id > id:
                    return
                await self._tell_stored(message)
            if not page:
                return  # deleted since

    async def _tell_stored(self, message: StoredMessage) -> None:
        if message.status == "streaming" and message.stream_id is not None:
            await self._follow(RunningReply(message.stream_id, message.id, message.parent_id or 0))
            self._channel.newest = message.id
            return
        if message.stream_id is not None:
            self._told_whole.add(message.id)
        self._say(posted(message))

    def _say(self, message: MessagePosted) -> None:
        self._channel.newest = message.message_id
        self._latest = message.message_id, message.author
        self._channel.tell(message, message.except_for)

    async def _follow(self, reply: RunningReply) -> None:
        self._channel.follow(replace(reply, asked_by=await self._asker_of(reply)))

    async def _asker_of(self, reply: RunningReply) -> Author | None:
        id, author = self._latest
        if reply.question_id == id == self._channel.newest:
            return author
        return await asker_of(reply, self._session, self._store, self._last_message)

    async def _was_told_whole(self, id: int) -> bool:
        """True if the reply has ended, and listeners have its end."""
        if id not in self._told_whole:
            return False
        self._told_whole.discard(id)
        try:
            return (await self._store.message(self._session.user_id, id)).status != "streaming"
        except NotFound:
            return True


async def asker_of(
    reply: RunningReply, session: StoredSession, store: MessageStore, last_message: LastMessage
) -> Author | None:
    """Return ReplyBegan.asked_by. The first reply is stored with its question, so it follows that."""
    if await last_message(session.id, before=reply.message_id) != reply.question_id:
        return None
    try:
        return (await store.message(session.user_id, reply.question_id)).author
    except NotFound:
        return None
