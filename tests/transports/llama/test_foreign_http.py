"""Replies over HTTP as other model servers and proxies speak it."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable

import pytest

from gateway.contract.errors import ProtocolViolation, UpstreamFailed
from tests.transports.llama.foreign_streams import DONE, END, STOP, A, B, delta
from tests.transports.llama.raw_server import Ending, raw_server
from tests.transports.llama.test_foreign_streams import CUTS, HEAD, Heard, heard, pieces
from transports.llama.content_coding import MAX_READ_BYTES

STREAM = A + B + END


def head(status: str = "200 OK", **fields: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


async def heard_of(answer: bytes, body: bytes, *, cut: int = 0, ending: Ending = "close") -> Heard:
    async with asyncio.timeout(30), raw_server() as server:
        server.answer, server.ending = [answer, *pieces(body, cut)], ending
        return await heard(server)


@pytest.mark.parametrize("status", ["201 Created", "203 Non-Authoritative Information", "202 Accepted"])
async def test_other_statuses_of_success_have_an_answer(status: str) -> None:
    said = await heard_of(head(status, Content_Type="text/event-stream"), STREAM)
    assert (said.text, said.ends) == ("AB", "stop")


async def test_no_content_is_no_answer() -> None:
    said = await heard_of(head("204 No Content"), b"")
    assert isinstance(said.error, UpstreamFailed)
    assert "204" in str(said.error)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(
    ("coding", "compress"),
    [("gzip", gzip.compress), ("X-GZIP", gzip.compress), ("deflate", zlib.compress)],
)
async def test_a_stream_that_was_compressed_unasked_is_read(
    coding: str, compress: Callable[[bytes], bytes], cut: int
) -> None:
    body = compress(STREAM)
    said = await heard_of(head(Content_Encoding=coding, Content_Type="text/event-stream"), body, cut=cut)
    assert (said.text, said.ends) == ("AB", "stop")


def zlib_like(wbits: int, level: int = 6) -> bytes:
    stream = zlib.compressobj(level, wbits=wbits)
    return stream.compress(STREAM) + stream.flush()


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(
    ("codings", "body"),
    [
        (["gzip"], b"".join(map(gzip.compress, (A, B, END)))),
        (["gzip"], gzip.compress(A) + bytes(7) + gzip.compress(B + END) + bytes(7)),
        (["gzip"], gzip.compress(STREAM) + b"other bytes"),
        (["deflate"], zlib_like(-15)),
        (["deflate"], zlib_like(-15, level=0)),
        (["deflate"], zlib_like(9)),
        (["gzip, identity"], gzip.compress(STREAM)),
        (["identity", "gzip"], gzip.compress(STREAM)),
        (["deflate, gzip"], gzip.compress(zlib.compress(STREAM))),
        (["gzip", "gzip"], gzip.compress(gzip.compress(STREAM))),
    ],
    ids=[
        "members",
        "padded",
        "other bytes",
        "raw",
        "raw stored",
        "small window",
        "identity last",
        "identity first",
        "two",
        "twice",
    ],
)
async def test_compression_is_undone_as_by_other_clients(codings: list[str], body: bytes, cut: int) -> None:
    fields = "".join(f"Content-Encoding: {coding}\r\n" for coding in codings)
    said = await heard_of(HEAD[:-2] + fields.encode() + b"\r\n", body, cut=cut)
    assert (said.text, said.ends) == ("AB", "stop")


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(
    "answer",
    [
        HEAD.replace(b"\r\n", b"\n") + STREAM,
        HEAD.replace(b"OK\r\n", b"OK\n") + STREAM,
        HEAD[:-2] + b"\n" + STREAM,
        HEAD[:-2] + b"X-Folded: a\r\n b\r\n\tc\r\n\r\n" + STREAM,
        HEAD[:-2] + b"Transfer-Encoding: chunked\r\n\r\n%x  \r\n%b\r\n0 \r\n\r\n" % (len(STREAM), STREAM),
        HEAD[:-2]
        + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
        % (len(STREAM), STREAM),
        b"HTTP/1.1 103 Early Hints\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n" + HEAD + STREAM,
    ],
    ids=["LF", "LF at first", "LF at last", "folded", "spaces", "length", "early hints"],
)
async def test_responses_are_read_that_other_clients_accept(answer: bytes, cut: int) -> None:
    said = await heard_of(b"", answer, cut=cut)
    assert (said.text, said.ends) == ("AB", "stop")


async def test_codings_without_end_are_refused() -> None:
    said = await heard_of(head(Content_Encoding=",".join(["gzip"] * 5)), b"")
    assert isinstance(said.error, ProtocolViolation)
    assert "compressed 5 times" in str(said.error)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("coding", ["identity", "none", "UTF-8", "", "gzip", "deflate"])
async def test_a_stream_that_is_not_compressed_is_read(coding: str, cut: int) -> None:
    said = await heard_of(head(Content_Encoding=coding, Content_Type="text/event-stream"), STREAM, cut=cut)
    assert (said.text, said.ends) == ("AB", "stop")


async def test_a_whole_answer_that_was_compressed_unasked_is_read() -> None:
    body = gzip.compress(json.dumps({"choices": [{"message": {"content": "AB"}}]}).encode())
    said = await heard_of(head(Content_Encoding="gzip", Content_Type="application/json"), body)
    assert (said.text, said.ends) == ("AB", "stop")


@pytest.mark.parametrize(
    ("coding", "body", "message"),
    [
        ("br", b"\x8b\x02\x80", "compressed as br"),
        ("gzip", b"\x1f\x8b" + STREAM, "cannot be decompressed"),
        ("gzip", gzip.compress(b" " * (MAX_READ_BYTES + 1), mtime=0), "exceeds"),
    ],
)
async def test_a_compression_that_cannot_be_undone_is_named(coding: str, body: bytes, message: str) -> None:
    said = await heard_of(head(Content_Encoding=coding, Content_Type="text/event-stream"), body)
    assert isinstance(said.error, ProtocolViolation)
    assert message in str(said.error)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html; charset=utf-8",
        "text/event-stream, text/event-stream",
        "application/jsonl",
        "application/x-json-stream",
        "text/json",
    ],
)
@pytest.mark.parametrize("stream", [STREAM, A[6:-1] + B[6:-1] + STOP[6:-1]], ids=["events", "lines"])
async def test_a_stream_is_read_whatever_its_type(content_type: str, stream: bytes) -> None:
    said = await heard_of(head(Content_Type=content_type), stream)
    assert (said.text, said.ends) == ("AB", "stop")


async def test_a_page_is_named() -> None:
    said = await heard_of(head(Content_Type="text/html"), b"<html>\n\n<p>Welcome</p>\n\n</html>")
    assert isinstance(said.error, ProtocolViolation)
    assert "text/html" in str(said.error)


async def test_a_stream_of_another_type_that_breaks_off_keeps_its_text() -> None:
    said = await heard_of(head(Content_Type="text/html"), A)
    assert (said.text, said.ends) == ("A", "error")
    assert "broke off" in str(said.error)


@pytest.mark.parametrize(
    ("answer", "body", "ending"),
    [
        (HEAD, A + B + STOP, "reset"),
        (HEAD, A + delta("stop", content="B"), "reset"),
        (head(Transfer_Encoding="chunked"), chunked(A, B, STOP), "close"),
        (head(Transfer_Encoding="chunked"), chunked(A, B, STOP) + b"7\r\ndat", "close"),
        (head(Content_Length="99999"), A + B + STOP, "close"),
    ],
    ids=["reset", "reset at once", "no last chunk", "half a chunk", "too short"],
)
async def test_a_connection_that_breaks_behind_the_finish_reason_ends_the_reply(
    answer: bytes, body: bytes, ending: Ending
) -> None:
    said = await heard_of(answer, body, ending=ending)
    assert (said.text, said.ends) == ("AB", "stop")


@pytest.mark.parametrize("ending", ["reset", "close"])
async def test_a_connection_that_breaks_before_it_fails_the_reply(ending: Ending) -> None:
    said = await heard_of(head(Transfer_Encoding="chunked"), chunked(A, B), ending=ending)
    assert (said.text, said.ends) == ("AB", "error")


async def test_one_event_may_be_as_large_as_a_whole_answer() -> None:
    text = "x" * 3_000_000
    said = await heard_of(HEAD, delta(content=text) + STOP + DONE)
    assert (said.text == text, said.ends) == (True, "stop")
