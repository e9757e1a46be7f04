"""The links in a stream, with the path prefix of the client."""

from collections.abc import Sequence

from gateway.contract.dialect import Dialect, Encoder
from gateway.contract.events import ReaderEvent, Started
from gateway.contract.record import replace
from gateway.dialects.registry import LAM


class _PrefixedLinks:
    """Adds the prefix to the links of an encoder's events."""

    def __init__(self, encoder: Encoder, root_path: str) -> None:
        self._encoder = encoder
        self._root_path = root_path

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        if isinstance(event, Started) and event.resume_url is not None:
            event = replace(event, resume_url=self._root_path + event.resume_url)
        return self._encoder.frames(event)


def encoder_of(dialect: Dialect, stream_id: str, root_path: str) -> Encoder:
    """Return an encoder of the stream. root_path: the prefix; empty without one."""
    encoder = dialect.encoder(stream_id)
    return _PrefixedLinks(encoder, root_path) if root_path else encoder


def resume_link(dialect: Dialect, root_path: str, resume_url: str) -> bytes:
    """Return the URL for resuming, with the dialect as its `format`."""
    url = root_path + resume_url
    return (url if dialect is LAM else f"{url}&format={dialect.name}").encode()
