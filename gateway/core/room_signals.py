"""Tells the other gateways who is in a room and who types there, and hears it from them.

Each gateway tells its own people, when it opens a room, when something changes, and when another one asks.
Nothing is repeated in between.
"""

from collections.abc import Callable, Mapping

from gateway.contract.authors import Author
from gateway.contract.room_events import Person, TypingChanged
from gateway.contract.signals import Body, Signals
from gateway.core.room_channel import HERE, RoomChannel

TOPIC = "room"


class RoomSignals:
    """me: name of this gateway, as the list of gateways has it."""

    def __init__(self, signals: Signals, me: str) -> None:
        self._signals = signals
        self._me = me
        self._channels: Mapping[int, RoomChannel] = {}

    def begin(self, channels: Mapping[int, RoomChannel], on_missed: Callable[[], None]) -> None:
        """Hear the others. Called once.

        Args:
            channels: the open rooms by session id.
            on_missed: called when signals were lost.
        """
        self._channels = channels
        self._signals.on(TOPIC, self._hear)
        self._signals.on_missed(on_missed)

    def opened(self, channel: RoomChannel) -> None:
        """Ask the others for their people in this room."""
        self._send(channel, {"kind": "asks"})

    def present(self, channel: RoomChannel, person: Person) -> None:
        """Tell a person's status at this gateway."""
        about = {"who": str(person.who), "status": person.status, "metadata": dict(person.metadata)}
        self._send(channel, {"kind": "present", **about})

    def gone(self, channel: RoomChannel, who: Author) -> None:
        """Tell that a person is not at this gateway any more."""
        self._send(channel, {"kind": "gone", "who": str(who)})

    def typing(self, channel: RoomChannel, change: TypingChanged) -> None:
        """Tell that a person types at this gateway, or has stopped."""
        self._send(channel, {"kind": "typing", "who": str(change.who), "typing": change.typing})

    def _send(self, channel: RoomChannel, body: Body) -> None:
        self._signals.send(TOPIC, {"room": channel.session.id, "from": self._me, **body})

    def _hear(self, body: Body) -> None:
        room, sender = body.get("room"), body.get("from")
        channel = self._channels.get(room) if isinstance(room, int) else None
        if channel is None or not isinstance(sender, str) or sender in (HERE, self._me):
            return
        match body:
            case {"kind": "asks"}:
                for person in channel.people.at(HERE):
                    self.present(channel, person)
            case {"kind": "present", "who": str(who), "status": str(status), "metadata": dict(metadata)}:
                channel.put(sender, Person(Author.parse(who), status, metadata))
            case {"kind": "gone", "who": str(who)}:
                channel.take(sender, Author.parse(who))
            case {"kind": "typing", "who": str(who), "typing": bool(typing)}:
                channel.typing.put(Author.parse(who), typing, here=False)
