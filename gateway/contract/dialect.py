"""The seam to frontends: a dialect writes reader events as the frames that one kind of client understands."""

from collections.abc import Sequence
from typing import Literal, Protocol

from gateway.contract.errors import GatewayError
from gateway.contract.events import ReaderEvent

PacedBy = Literal["characters", "word"]


class Encoder(Protocol):
    """One reader's encoder; it may remember what it has written."""

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        """Whole SSE frames for the event, in order, or none if this dialect keeps silent about it.

        Deltas may be told together: `frames(Delta("a"))` then `frames(Delta("b"))` means the same to the
        client as `frames(Delta("ab"))`.
        """
        ...


class Dialect(Protocol):
    """The frames of one kind of client.

    name: as `?format=` gives it. paced_by: how its readers are used to see a reply that came whole.
    media_type: the answer's content type. headers: of the answer, besides every stream's own.
    heartbeat: one whole frame that goes out while nothing else does; empty where the dialect has none.
    merges: neighbouring deltas may be told as one; False: each event of the journal alone.
    bears_ids: its readers come back behind an event id; those of other dialects start from the beginning.
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

    def encoder(self, stream_id: str) -> Encoder:
        """For one reader of that stream, from its beginning or from further on."""
        ...

    def refusal(self, error: GatewayError) -> bytes:
        """The whole body that tells a client that reads no statuses why there is no reply.

        With the error's code, where the dialect has a place for one.
        """
        ...
