"""One room with listeners at this gateway: each event is made once and given to all of them."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import takewhile
from typing import Any

from gateway.contract.authors import Author
from gateway.contract.replies_elsewhere import RunningReply
from gateway.contract.room_events import (
    Happening,
    MessagePosted,
    Person,
    ReplyBegan,
    ReplyGrew,
    ReplyOver,
    RoomEvent,
    RoomListener,
    TypingChanged,
)
from gateway.contract.store import StoredSession
from gateway.core.room_people import RoomPeople, TypingPeople
from gateway.core.room_reply import RoomReply, Tell

log = logging.getLogger("sluice.rooms")

HERE = ""
"""Name of this gateway in RoomPeople."""

MakeReply = Callable[[RunningReply, str, Tell], RoomReply]
OnTyping = Callable[["RoomChannel", TypingChanged], None]


class RoomChannel:
    """Args:
        newest: see the attribute.
        make_reply: returns the RoomReply of a reply, a user and its `tell`.
        on_typing: called with the channel and each change of typing that happens at this gateway; it must not
            block or raise.

    Attributes:
        newest: id of the latest message of which the listeners were told, as of all before it.
        places: of the listeners.
        ready: set when all running replies are followed, and when the room is closed.
        closing: closed when the last listener has left.
        was_shared: the session had members when that was looked up last.
    """

    def __init__(
        self,
        session: StoredSession,
        newest: int,
        make_reply: MakeReply,
        on_typing: OnTyping,
    ) -> None:
        self.session = session
        self.newest = newest
        self.places: set[Place] = set()
        self.people = RoomPeople()
        self._on_typing = on_typing
        self.typing = TypingPeople(self._typing_changed)
        self._make_reply = make_reply
        self._replies: dict[str, RoomReply] = {}
        self._following: set[asyncio.Task[None]] = set()
        self._here: Counter[Author] = Counter()
        self.was_shared = False
        self.ready = asyncio.Event()
        self.closing = ExitStack()
        self.closing.callback(self.ready.set)
        self.closing.callback(self.typing.close)
        self.closing.callback(self._stop_following)

    @property
    def after(self) -> int:
        """The RoomEvent.after of a listener that has all events so far."""
        return self.before_running(self.newest)

    def before_running(self, id: int) -> int:
        """Return the id, or a lower one, so that it is below those of all running replies."""
        return min([id, *[reply.message_id - 1 for reply in self._replies.values()]])

    def event(self, what: Happening) -> RoomEvent:
        after = self.after if isinstance(what, MessagePosted | ReplyBegan | ReplyOver) else None
        return RoomEvent(self.session.id, self.session.key, what, after)

    def tell(self, what: Happening, except_for: RoomListener | None = None) -> None:
        """Give an event to all listeners."""
        event = self.event(what)
        for place in tuple(self.places):
            if place.listener is not except_for:
                place.hear(event)

    def add(self, place: "Place") -> None:
        """Let a listener hear all events from now on, beginning with the replies that run."""
        for reply in self._replies.values():
            place.hear(self.event(reply.began()))
        self.places.add(place)
        self._here[place.who] += 1

    def remove(self, place: "Place") -> bool:
        """Let a listener hear nothing more. True if it was the person's last one here."""
        if place not in self.places:
            return False
        self.places.discard(place)
        self._here[place.who] -= 1
        if self._here[place.who]:
            return False
        del self._here[place.who]
        return True

    def clear(self) -> Collection["Place"]:
        """Let no listener hear anything more. Return those that there were."""
        places, self.places = self.places, set()
        self._here.clear()
        return places

    def put(self, gateway: str, person: Person, listener: RoomListener | None = None) -> None:
        """Note that a person is in the room at a gateway, and tell it if it is new. listener: of the person,
        which need not hear it."""
        change = self.people.put(gateway, person)
        if change is not None:
            self.tell(change, except_for=listener)

    def take(self, gateway: str, who: Author) -> None:
        """Note that a person has left the room at a gateway, and tell it if that was the last one."""
        went = self.people.remove(gateway, who)
        if went is not None:
            self.typing.put(who, False)
            self.tell(went)

    def follow(self, reply: RunningReply) -> None:
        """Give a running reply to the listeners, unless they get it already."""
        if reply.stream_id in self._replies:
            return

        def tell(what: Happening) -> None:
            if isinstance(what, ReplyOver):
                self._replies.pop(reply.stream_id, None)
            self.tell(what)

        running = self._replies[reply.stream_id] = self._make_reply(reply, self.session.user_id, tell)
        self.tell(running.began())
        task = asyncio.create_task(running.follow(), name=f"room-{reply.stream_id}")
        self._following.add(task)
        task.add_done_callback(partial(self._followed, reply.stream_id, running))

    def _followed(self, stream_id: str, reply: RoomReply, task: asyncio.Task[None]) -> None:
        if self._replies.get(stream_id) is reply:  # else it has ended, and may go on as another one
            del self._replies[stream_id]
        self._following.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("stream %s is not heard in its room any more", stream_id, exc_info=error)

    def _stop_following(self) -> None:
        for task in self._following:
            task.cancel()

    def _typing_changed(self, change: TypingChanged, here: bool, listener: RoomListener | None) -> None:
        self.tell(change, except_for=listener)
        if here:
            self._on_typing(self, change)


class Place:
    """A listener's place in a room, from which it speaks and leaves.

    It gets nothing before `catch_up`.

    Args:
        say: called with the person when it says something about its presence; None when it leaves.
        may_stay: returns False once the listener may not hear the room any more.
    """

    def __init__(
        self,
        channel: RoomChannel,
        who: Author,
        listener: RoomListener,
        may_stay: Callable[[], bool],
        on_said: Callable[["Place", Person], None],
        on_left: Callable[["Place"], None],
    ) -> None:
        self._channel = channel
        self.session_id, self.key = channel.session.id, channel.session.key
        self.who = who
        self.listener = listener
        self.may_stay = may_stay
        self._on_said = on_said
        self._on_left = on_left
        self._held: list[RoomEvent] | None = []
        self._known: set[int | str] = set()

    @property
    def channel(self) -> RoomChannel:
        return self._channel

    def hear(self, event: RoomEvent) -> None:
        if self._held is not None:
            self._held.append(event)
        elif not (self._known and self._knows(event.what)):
            self.listener.hear(event)

    def catch_up(self, missed: Sequence[MessagePosted]) -> None:
        """Give the listener messages that it missed, then all events since it joined, each message once.

        A reply that runs begins at its place among the messages.
        """
        held, self._held = self._held or [], None
        to_come = {
            event.what.message_id for event in held if isinstance(event.what, MessagePosted | ReplyBegan)
        }
        first_to_come = min(to_come, default=math.inf)
        running = list(takewhile(lambda event: isinstance(event.what, ReplyBegan), held))
        has_news = any(isinstance(event.what, MessagePosted | ReplyBegan) for event in held[len(running) :])
        for message in missed:
            if has_news and message.message_id > self._channel.newest:
                break  # all listeners will be told of it, after the events in `held`
            while running and _id_of(running[0]) < message.message_id:
                self.listener.hear(running.pop(0))
                del held[0]
            if message.message_id not in to_come:
                # Below all that follows: a reply that has ended meanwhile may still begin and end in `held`.
                after = self._channel.before_running(int(min(message.message_id, first_to_come - 1)))
                self.listener.hear(RoomEvent(self.session_id, self.key, message, after))
                self._known.add(message.message_id)
                if message.stream_id is not None:
                    self._known.add(message.stream_id)
        for event in held:
            self.hear(event)

    def _knows(self, what: Happening) -> bool:
        """True for news of a message that the listener got as a missed one."""
        if isinstance(what, MessagePosted | ReplyBegan):
            return what.message_id in self._known
        return isinstance(what, ReplyGrew | ReplyOver) and what.stream_id in self._known

    @property
    def after(self) -> int:
        """See RoomEvent.after."""
        return self._channel.after

    def people(self) -> Sequence[Person]:
        """Return who is in the room at any gateway."""
        return self._channel.people.all()

    def typing(self) -> Sequence[Author]:
        """Return who types."""
        return self._channel.typing.all()

    def say_typing(self, typing: bool) -> None:
        """Tell the others that this person types, or has stopped. It stops by itself after TYPES_FOR_S."""
        self._channel.typing.put(self.who, typing, listener=self.listener)

    def say_presence(self, status: str, metadata: Mapping[str, Any]) -> None:
        """Tell the others this person's status."""
        self._on_said(self, Person(self.who, status, metadata))

    def leave(self) -> None:
        """Hear nothing more. A second call does nothing."""
        self._on_left(self)


def _id_of(event: RoomEvent) -> int:
    return event.what.message_id if isinstance(event.what, ReplyBegan) else 0
