"""Protocol of an MQTT client: one connection to a broker that reconnects by itself."""

from asyncio import Future
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol

MessageHandler = Callable[[str, bytes, bool], None]
"""Called in the reader with topic, payload and the retain flag. It must not block."""

StateHandler = Callable[[bool], None]
"""Called with True when connected with every subscription acknowledged; with False when the connection is
lost, and when the first attempt to connect fails."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Address of a broker and the client's credentials. Files are PEM.

    tls: encrypt, and check the broker's certificate against ca_file, by default the system's authorities.
    cert_file, key_file: the client's certificate, if the broker requires one.
    protocol: MQTT version; "auto" finds out which one the broker speaks.
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
    """Message that the broker publishes, retained, when the client is gone without a DISCONNECT."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """Properties of an MQTT 5 message; a 3.1.1 connection leaves them out."""

    expiry_s: float
    response_topic: str | None = None
    correlation: str | None = None
    trace: str | None = None


class Receipt(Enum):
    """Result of a published message. Only some MQTT 5 brokers report NOBODY and REFUSED."""

    TAKEN = "the broker has it"
    NOBODY = "the broker has it, and no subscriber wants it"
    REFUSED = "the broker does not let us publish there"
    LOST = "no connection, or it broke before the broker answered"

    @property
    def arrived(self) -> bool:
        """True if the broker has the message."""
        return self in (Receipt.TAKEN, Receipt.NOBODY)


class Link(Protocol):
    @property
    def client_id(self) -> str:
        """MQTT client id, which is also the name in this client's topics."""
        ...

    @property
    def connected(self) -> bool:
        """True if connected with every subscription acknowledged."""
        ...

    @property
    def tells_refusals(self) -> bool:
        """True if the broker reports a forbidden message as REFUSED; otherwise it counts as TAKEN."""
        ...

    @property
    def max_payload(self) -> int:
        """Largest payload in bytes by the settings, in both directions."""
        ...

    def room(self, topic: str) -> int:
        """Return the largest payload in bytes on `topic` now: `max_payload`, or the broker's limit."""
        ...

    def subscribe(self, topic_filter: str, handler: MessageHandler, *, group: str | None = None) -> None:
        """Subscribe to `topic_filter` with QoS 1 on every connection. Call it before `running()`.

        An error of the handler is logged; the connection goes on.

        Args:
            topic_filter: at most one level may be `+`.
            handler: called for each message.
            group: of all links with the same group, one gets each message if the broker has shared
                subscriptions (MQTT 5); otherwise all links do.
        """
        ...

    def watch(self, handler: StateHandler) -> None:
        """Call `handler` when the connection is made or lost. Call it before `running()`."""
        ...

    def running(self, will: Will | None = None) -> AbstractAsyncContextManager[None]:
        """Connect, and reconnect for ever. Can be entered once; does not wait for the first connection."""
        ...

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, envelope: Envelope | None = None
    ) -> Future[Receipt]:
        """Publish one QoS 1 message at once, in the order of the calls.

        The future is done when the broker has acknowledged the message or the connection is lost. It may be
        ignored and never has an exception. Raises TooLarge for a payload over `room(topic)`, for which most
        brokers would close the connection, and Overloaded if too many messages wait for the broker.
        """
        ...
