"""Size limit of a message: by the settings, by the broker's CONNACK, and by earlier disconnections."""

from collections.abc import Callable, Iterable

from gateway.contract.errors import TooLarge

HEADER_BYTES = 9
"""Maximum size of a PUBLISH without topic, properties and payload. Source: MQTT 5.0, 3.3."""
ENVELOPE_BYTES = 1_024
"""More than the size of an Envelope's properties."""
STRIKES = 2
LEARNED_S = 600.0
"""Seconds after which a learned limit ends: the broker's limit may have changed, or the guess was wrong."""


class BrokerLimits:
    """Refuses messages for which the broker would close the connection.

    MQTT 5 brokers send their limit in CONNACK. On MQTT 3.1.1 the limit is learned: if the broker disconnects
    while a message is unacknowledged that is larger than all accepted ones, that message is suspected. After
    STRIKES such losses no message of that size is sent for LEARNED_S. If the broker then disconnects on a
    smaller one too, the limit moves half way down to the largest accepted size, which costs few connections.

    clock: returns monotonic seconds.
    """

    def __init__(self, max_payload: int, clock: Callable[[], float]) -> None:
        self.max_payload = max_payload
        self._clock = clock
        self._told: int | None = None
        self._largest_taken = 0
        self._suspects: list[int] = []
        self._learned: int | None = None
        self._learned_at = 0.0

    def connected(self, max_packet: int | None) -> None:
        """A connection was made. max_packet: MaximumPacketSize, if the broker sent it."""
        self._told = max_packet

    def took(self, size: int) -> None:
        """The broker acknowledged a message; `size` is that of topic and payload."""
        if size > self._largest_taken:
            self._largest_taken = size
            self._suspects = [suspect for suspect in self._suspects if suspect > size]

    def hung_up_on(self, sizes: Iterable[int]) -> None:
        """The broker closed the connection before it acknowledged messages of these sizes."""
        largest = max(sizes, default=0)
        if largest <= self._largest_taken:
            return
        self._suspects.append(largest)
        if len(self._suspects) >= STRIKES:
            smallest = min(self._suspects)
            halfway = (self._largest_taken + smallest + 1) // 2
            self._learned = smallest if self._still_learned() is None else halfway
            self._learned_at = self._clock()
            self._suspects.clear()

    def room(self, topic: str) -> int:
        """Return the largest payload in bytes on `topic`, with any envelope."""
        room = self.max_payload
        if self._told is not None:
            room = min(room, self._told - HEADER_BYTES - ENVELOPE_BYTES - _bytes(topic))
        learned = self._still_learned()
        if learned is not None:
            room = min(room, learned - 1 - _bytes(topic))
        return max(0, room)

    def check(self, topic: str, payload: bytes) -> None:
        """Raise TooLarge for a message beyond the limit."""
        room = self.room(topic)
        size = len(payload)
        if size <= room:
            return
        if size > self.max_payload:
            why = f"MQTT_MAX_PAYLOAD allows {self.max_payload}"
        elif self._learned is not None:
            why = f"the MQTT broker hung up {STRIKES} times on a message of this size"
        else:
            why = f"the MQTT broker takes packets of {self._told}, topic and properties included"
        raise TooLarge(f"The message would have {size} bytes, and {why}: at most {room} fit.")

    def _still_learned(self) -> int | None:
        if self._learned is not None and self._clock() - self._learned_at > LEARNED_S:
            self._learned = None
        return self._learned


def _bytes(topic: str) -> int:
    return len(topic.encode())
