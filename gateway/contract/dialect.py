"""The interface of a dialect, which encodes reader events as SSE frames for one kind of client."""

from collections.abc import Sequence
from typing import Literal, Protocol

from gateway.contract.errors import GatewayError
from gateway.contract.events import ReaderEvent

PacedBy = Literal["characters", "word"]


class Encoder(Protocol):
    """The encoder of one reader; it may keep state between events."""

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        """Return whole SSE frames for the event, in order; none if this dialect has no frame for it.

        Callers may merge deltas: `frames(Delta("a"))` then `frames(Delta("b"))` must mean the same to the
        client as `frames(Delta("ab"))`.
        """
        ...


class Dialect(Protocol):
    """One format of the reply stream.

    Attributes:
        name: the value of `?format=`.
        paced_by: the unit in which a reply that arrived in one piece is sent to the client.
        media_type: the content type of the response.
        headers: of the response, in addition to those of every stream.
        heartbeat: one whole frame, sent while there is nothing else to send; empty if the dialect has none.
        merges: True if adjacent deltas may be merged; False if each journal event needs its own frames.
        bears_ids: True if its frames have event ids, so that readers can resume after one; readers of other
            dialects start from the beginning.
        needs_end: True if its clients take a stream without an end for a whole reply. When the gateway stops,
            readers of other dialects that can resume get no end until they do.
    """

    name: str
    paced_by: PacedBy

    @property
    def media_type(self) -> str: ...

    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]: ...

    @property
    def heartbeat(self) -> bytes: ...

    @property
    def merges(self) -> bool: ...

    @property
    def bears_ids(self) -> bool: ...

    @property
    def needs_end(self) -> bool: ...

    def encoder(self, stream_id: str) -> Encoder:
        """Return a new encoder for one reader of the stream, which may start after the first event."""
        ...

    def refusal(self, error: GatewayError) -> bytes:
        """Return a whole body with the error, for clients that ignore the HTTP status.

        It contains the error's code if the dialect has a field for it.
        """
        ...
