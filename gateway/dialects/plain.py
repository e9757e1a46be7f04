"""The reply's text without frames, as `text/plain`, for `TextStreamChatTransport` and `curl`.

Text cannot contain an error, so the connection is aborted when a reply fails.
"""

from collections.abc import Sequence

from gateway.contract.dialect import PacedBy
from gateway.contract.errors import GatewayError
from gateway.contract.events import Delta, ReaderEvent
from gateway.dialects.json_encoding import without_surrogates


class Plain:
    name = "plain"
    paced_by: PacedBy = "characters"
    media_type = "text/plain; charset=utf-8"
    headers: Sequence[tuple[bytes, bytes]] = ()
    heartbeat = b""
    bears_ids = False
    needs_end = True
    merges = True

    def encoder(self, stream_id: str) -> "Plain":
        return self

    def refusal(self, error: GatewayError) -> bytes:
        return _utf8(f"{error}\n")

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        return (_utf8(event.text),) if isinstance(event, Delta) else ()


def _utf8(text: str) -> bytes:
    return str(without_surrogates(text)).encode()
