"""The data with which a gateway continues to receive a reply that another one, or an earlier start, began."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from gateway.contract.random_names import random_hex

Handle = Mapping[str, Any]
"""Names a reply at its generator (a model server or worker). JSON, stored in the reply's row."""

Now = Callable[[], Handle]
"""Returns entries for the handle that are true after the events pushed so far, such as an offset."""


class Reattachable(Struct, frozen=True):
    """Marks a request whose reply another gateway may continue to receive.

    Attributes:
        conversation_id: 32 random hex digits, stored with the reply before the request is sent; no secret of
            a client, but it lets its holder read the reply at the model server.
        keep_handle: stores another handle in place of the first one, `{"conversation_id": ...}`; does not
            block. Called once the generator is known.
        at_checkpoints: registers a function whose entries are stored in the handle together with each
            checkpoint of the reply's text.
        is_left: returns True if another gateway receives the reply from now on, or may receive it: a
            transport that is cancelled or fails then closes its connection, but does not stop the generator.
        keep_s: seconds for which a worker keeps the reply without a gateway.
        renew: draws another conversation id, stores it in place of the handle, and then calls the function
            with it: the request can be sent again under it. Does not block.
    """

    conversation_id: str
    keep_handle: Callable[[Handle], None]
    at_checkpoints: Callable[[Now], None] = lambda _: None
    is_left: Callable[[], bool] = lambda: False
    keep_s: float = 60.0
    renew: Callable[[Callable[[str], None]], None] = lambda send: send(random_hex())


class Reattach(Struct, frozen=True):
    """Asks a transport to continue receiving a reply.

    Attributes:
        id: the stream's id.
        handle: as it was stored last.
        epoch: number of times that the reply was taken over, this time included.
        deadline_s: maximum seconds for the rest of the reply.
        reattachable: as in ChatRequest, because the reply may be taken over again.
        begins_at_checkpoint: called before the first event if the generator does not have the beginning any
            more, so that the events begin behind the text that was stored together with the handle.
        trace: a W3C `traceparent`.
        find_within_s: maximum seconds until the generator shows that it has the reply; then the transport
            raises.
    """

    id: str
    handle: Handle
    epoch: int
    deadline_s: float
    reattachable: Reattachable
    begins_at_checkpoint: Callable[[], None] = lambda: None
    trace: str | None = None
    find_within_s: float = 10.0
