"""The data with which a gateway continues to receive a reply that another one, or an earlier start, began."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.contract.record import record

Handle = Mapping[str, Any]
"""Names a reply at its generator (a model server or worker). JSON, stored in the reply's row."""


@record
class Reattachable:
    """Marks a request whose reply another gateway may continue to receive.

    Attributes:
        conversation_id: 32 random hex digits, stored with the reply before the request is sent; no secret of
            a client, but whoever knows it can read the reply at the model server.
        keep_handle: stores another handle in place of the first one, `{"conversation_id": ...}`; does not
            block. Called once the generator is known.
        keep_s: seconds for which a worker keeps the reply without a gateway.
    """

    conversation_id: str
    keep_handle: Callable[[Handle], None]
    keep_s: float = 60.0


@record
class Reattach:
    """Asks a transport to continue receiving a reply.

    Attributes:
        id: the stream's id.
        handle: as it was stored last.
        epoch: number of times that the reply was taken over, this time included.
        deadline_s: maximum seconds for the rest of the reply.
        trace: a W3C `traceparent`.
    """

    id: str
    handle: Handle
    epoch: int
    deadline_s: float
    trace: str | None = None
