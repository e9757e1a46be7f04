"""A chunk that reports usage may report an error too, in every form that servers use."""

import pytest

from gateway.contract.errors import UpstreamFailed
from transports.llama.chunk_parser import ChunkParser

USAGE = b'"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}'


@pytest.mark.parametrize(
    "told",
    [
        b'"error":{"message":"no memory"}',
        b'"error":"no memory"',
        b'"\\u0065rror":"no memory"',
        b'"errors":["no memory"]',
        b'"base_resp":{"status_code":1,"status_msg":"no memory"}',
        b'"object":"error","message":"no memory"',
    ],
)
def test_an_error_beside_usage_ends_the_reply(told: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        ChunkParser().feed(b"data: {%b,%b}\n\n" % (USAGE, told))


def test_an_event_named_error_is_one_whatever_it_reports() -> None:
    with pytest.raises(UpstreamFailed):
        ChunkParser().feed(b"event: error\ndata: {%b}\n\n" % USAGE)
