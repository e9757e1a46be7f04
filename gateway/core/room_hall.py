"""The rooms in which somebody listens: lets listeners join, and gives them the events of their room."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial

from gateway.contract.access import Access
from gateway.contract.adoption import LeftReply
from gateway.contract.authors import Author
from gateway.contract.errors import NotFound
from gateway.contract.record import replace
from gateway.contract.replies_elsewhere import RepliesElsewhere, RunningReply
from gateway.contract.room_events import (
    Happening,
    MembersChanged,
    MessagePosted,
    Person,
    RoomEvent,
    RoomListener,
)
from gateway.contract.store import MessageStore, StoredSession
from gateway.core.room_channel import HERE, Place, RoomChannel
from gateway.core.room_missed import OnRead, free, missed_messages
from gateway.core.room_news import LastMessage, RoomNews, asker_of
from gateway.core.room_reply import RoomReply
from gateway.core.room_signals import RoomSignals
from gateway.core.runs import Runs
from gateway.core.session_news import SessionNews


class RoomHall:
    """A room without listeners costs nothing.

    Args:
        signals: to the halls of other gateways.
        last_message: see LastMessage.
        elsewhere: replies of other gateways; None if there can be none.
    """

    def __init__(
        self,
        runs: Runs,
        store: MessageStore,
        news: SessionNews,
        access: Access,
        signals: RoomSignals,
        last_message: LastMessage,
        elsewhere: RepliesElsewhere | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._runs = runs
        self._store = store
        self._news = news
        self._access = access
        self._signals = signals
        self._last_message = last_message
        self._elsewhere = elsewhere
        self._sleep = sleep
        self._channels: dict[int, RoomChannel] = {}
        self._tasks: asyncio.TaskGroup | None = None
        signals.begin(self._channels, self.dismiss_all)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell events during the block. Leaving it dismisses all listeners."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                yield
            finally:
                self.dismiss_all()
                self._tasks = None

    async def join(
        self,
        user_id: str,
        who: Author,
        session: StoredSession,
        listener: RoomListener,
        *,
        after: int | None = None,
        may_stay: Callable[[], bool] | None = None,
        on_read: OnRead = free,
    ) -> Place:
        """Hear a room from now on, and be present in it.

        The listener first gets the messages after `after`, and one ReplyBegan for each reply that runs, with
        its text so far. Nothing is lost or repeated between these and the events that follow.

        Raises NotFound without access, TooMuchMissed, StorageFailed.

        Args:
            user_id: has the access; for a device, its owner.
            who: the user or device.
            session: of the room.
            after: as in the last RoomEvent that the listener got; 0: it needs all messages; None: it needs
                none.
            may_stay: returns False once the listener may not hear the room any more; None: once the user may
                not see it.
            on_read: called with the cost of the missed messages, see missed_messages.
        """
        newest = 0 if session.id in self._channels else await self._last_message(session.id)
        stays = may_stay or partial(self._access.may_see, user_id, session.user_id, session.id)
        if not stays():
            raise NotFound("No such room.")
        channel = self._channels.get(session.id) or self._open(session, newest)
        place = Place(channel, who, listener, stays, self._say, self._leave)
        channel.add(place)
        try:
            await channel.ready.wait()
            missed: Sequence[MessagePosted] = ()
            if after is not None:
                missed = await missed_messages(self._store, user_id, session.id, after, on_read)
        except BaseException:
            place.leave()
            raise
        if place in channel.places:
            self._say(place, _as_before(channel, who))
            place.catch_up(missed)
        return place

    async def tell_again(self, user_id: str, left: LeftReply, listener: RoomListener) -> bool:
        """Tell one listener a whole reply, if it has ended: it has heard a part at a gateway that died.

        Return False if it was not told, because it still runs or was deleted. Raises StorageFailed.
        """
        try:
            session = await self._store.session(user_id, left.session_id)
            stored = await self._store.reply(session.user_id, left.stream_id)
            if stored.status == "streaming":
                return False  # its room tells it
            reply = RunningReply(left.stream_id, left.message_id, left.question_id)
            asked_by = await asker_of(reply, session, self._store, self._last_message)
        except NotFound:
            return False

        def tell(what: Happening) -> None:
            listener.hear(RoomEvent(session.id, session.key, what))

        whole = self._reply(replace(reply, asked_by=asked_by), session.user_id, tell)
        tell(whole.began())
        await whole.follow()
        return True

    def members_changed(self, session_id: int | None = None) -> None:
        """Dismiss the listeners who are no members any more, of one room or of all, and all listeners of a
        room that was deleted, perhaps at another gateway. Tell the others of one room that its members
        changed."""
        for id in [session_id] if session_id is not None else list(self._channels):
            channel = self._channels.get(id)
            if channel is None:
                continue
            if channel.was_shared and not self._access.is_shared(id):
                self._dismiss_from(channel)
                continue
            channel.was_shared = self._access.is_shared(id)
            for place in [place for place in channel.places if not place.may_stay()]:
                self._dismiss(place)
            if session_id is not None:
                channel.tell(MembersChanged())

    def dismiss_all(self, session_id: int | None = None) -> None:
        """Dismiss all listeners, of one room or of all: the room was deleted, or events were lost."""
        for id in [session_id] if session_id is not None else list(self._channels):
            if (channel := self._channels.get(id)) is not None:
                self._dismiss_from(channel)

    def gateways_lost(self, owners: Collection[str]) -> None:
        """Let the people of dead gateways leave."""
        for channel in tuple(self._channels.values()):
            for owner in owners:
                for person in channel.people.at(owner):
                    channel.take(owner, person.who)

    def _open(self, session: StoredSession, newest: int) -> RoomChannel:
        assert self._tasks is not None, "RoomHall.join outside of running()"  # noqa: S101 - a bug of assembly
        channel = RoomChannel(session, newest, self._reply, self._signals.typing)
        channel.was_shared = self._access.is_shared(session.id)
        self._channels[session.id] = channel
        called = asyncio.Event()
        listener = channel.closing.enter_context(self._news.listening(session.id, called.set))
        news = RoomNews(channel, listener, called, self._store, self._last_message)
        channel.closing.callback(self._tasks.create_task(self._listen(channel, news)).cancel)
        self._signals.opened(channel)
        return channel

    def _reply(self, reply: RunningReply, user_id: str, tell: Callable[..., None]) -> RoomReply:
        return RoomReply(reply, user_id, tell, self._runs, self._store, self._elsewhere, self._sleep)

    def _say(self, place: Place, person: Person) -> None:
        place.channel.put(HERE, person, place.listener)
        self._signals.present(place.channel, person)

    def _leave(self, place: Place) -> None:
        channel = place.channel
        if channel.remove(place):
            channel.take(HERE, place.who)
            self._signals.gone(channel, place.who)
        self._close_if_empty(channel)

    def _dismiss(self, place: Place) -> None:
        self._leave(place)
        place.listener.dismiss(place.session_id)

    def _dismiss_from(self, channel: RoomChannel) -> None:
        """Dismiss all listeners. None of them hears that the others went."""
        places = channel.clear()
        for person in channel.people.at(HERE):
            self._signals.gone(channel, person.who)
        self._close_if_empty(channel)
        for place in places:
            place.listener.dismiss(place.session_id)

    def _close_if_empty(self, channel: RoomChannel) -> None:
        if not channel.places and self._channels.get(channel.session.id) is channel:
            del self._channels[channel.session.id]
            channel.closing.close()

    async def _listen(self, channel: RoomChannel, news: RoomNews) -> None:
        await news.tell(self._runs.of_session, self._elsewhere)
        self._dismiss_from(channel)


def _as_before(channel: RoomChannel, who: Author) -> Person:
    """Return the person with its status at this gateway, if it has one already."""
    return next((person for person in channel.people.at(HERE) if person.who == who), Person(who))
