"""What we need of an MQTT client, in our own words: one connection that comes back by itself."""

from asyncio import Future
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol

MessageHandler = Callable[[str, bytes, bool], None]
"""Called with topic, payload and the retain flag inside the reader: it must not block."""

StateHandler = Callable[[bool], None]
"""Called with True when connected and every subscription is acknowledged, with False when that is over and
when the first attempt to have it failed."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker is and how to come in. protocol: "auto" asks the broker which version it speaks.

    tls: encrypt, and check the broker's certificate against ca_file, or the system's authorities without
    one. cert_file, key_file: our own certificate, where the broker wants one. Files are PEM.
    """

    host: str
    port: int = 1883
    username: str | None = None
    password: str | None = None
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    protocol: Literal["auto", "5", "3.1.1"] = "auto"


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, when we vanish without a word."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """What MQTT 5 writes on the outside of a message; a 3.1.1 connection leaves it off."""

    expiry_s: float
    response_topic: str | None = None
    correlation: str | None = None
    trace: str | None = None


class Receipt(Enum):
    """What became of a message. Only MQTT 5 brokers tell of NOBODY and REFUSED, and not all of them do."""

    TAKEN = "the broker has it"
    NOBODY = "the broker has it, and no subscriber wants it"
    REFUSED = "the broker does not let us publish there"
    LOST = "no connection, or it broke before the broker answered"

    @property
    def arrived(self) -> bool:
        """Whether the broker has it."""
        return self in (Receipt.TAKEN, Receipt.NOBODY)


class Link(Protocol):
    @property
    def client_id(self) -> str:
        """Our name: MQTT client id and the name in our topics are the same."""
        ...

    @property
    def connected(self) -> bool:
        """Connected, and every subscription acknowledged."""
        ...

    @property
    def tells_refusals(self) -> bool:
        """Whether a forbidden message is REFUSED; else it is TAKEN like any other."""
        ...

    @property
    def max_payload(self) -> int:
        """Bytes that a payload may have by our own settings, in both directions."""
        ...

    def room(self, topic: str) -> int:
        """Bytes that a payload on `topic` may have now: `max_payload`, or what the broker takes."""
        ...

    def subscribe(self, topic_filter: str, handler: MessageHandler, *, group: str | None = None) -> None:
        """Hear `topic_filter` on this and every later connection, QoS 1; at most one level may be `+`.

        group: of all links that name it one hears each message, where the broker speaks MQTT 5 and shares
        subscriptions; elsewhere all of them do. To be called before `running()`. A handler that raises is
        logged; the connection lives on.
        """
        ...

    def watch(self, handler: StateHandler) -> None:
        """Hear of connection and loss. To be called before `running()`."""
        ...

    def running(self, will: Will | None = None) -> AbstractAsyncContextManager[None]:
        """Connect, and connect again for ever; entered once, and without waiting for the first connection."""
        ...

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, envelope: Envelope | None = None
    ) -> Future[Receipt]:
        """Hand over one QoS 1 message at once, in the order of the calls.

        The future may be ignored and never holds an exception; it is done when the broker has answered or
        the connection is lost. Raises TooLarge for a payload over `room(topic)`, which most brokers would
        answer by closing the connection, and Overloaded when too many messages wait for the broker.
        """
        ...
