"""Request bodies in gzip: read everywhere, bounded by what comes of them, refused when they are broken."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from gateway.web.http.asgi import Message
from gateway.web.http.decoded_bodies import PIECE_BYTES, GzipBody
from tests.web.gateway_server import STREAM, served
from transports.scripted import tokens

POSTS: dict[str, Any] = {
    STREAM: {"content": "Hi"},
    "/api/chatbot/messages": {"content": "Hi"},
    "/api/chat/stream": {"message": "Hi"},
    "/api/v1/chat/unified/stream": {"message": "Hi"},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/api/chatbot/sessions": {"title": "T"},
    "/api/chatbot/templates": {"name": "T"},
}
GZIP = {"content-type": "application/json", "content-encoding": "gzip"}


def packed(value: Any) -> bytes:
    return gzip.compress(json.dumps(value).encode())


@pytest.mark.parametrize("path", POSTS)
async def test_a_compressed_body_is_read(tmp_path: Path, path: str) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        answers = [
            await gateway.http.post(
                path, content=packed(POSTS[path]), headers={**GZIP, "content-encoding": coding}
            )
            for coding in ("gzip", "GZIP", "x-gzip", "identity, gzip")
        ]
    assert {answer.status_code for answer in answers} <= {200, 201}


async def test_the_same_key_compressed_or_not_is_the_same_request(tmp_path: Path) -> None:
    key = {"idempotency-key": "k"}
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        await gateway.http.post(STREAM, json=POSTS[STREAM], headers=key)
        again = await gateway.http.post(STREAM, content=packed(POSTS[STREAM]), headers={**GZIP, **key})
        assert len(gateway.transport.seen_requests) == 1
    assert again.status_code == 200


async def test_a_large_text_comes_out_whole(tmp_path: Path) -> None:
    text = "".join(chr(0x4E00 + number % 20000) for number in range(200_000))
    body = packed({"content": text})
    async with served(tmp_path, lambda _: tokens("Hello"), max_content_chars=200_000) as gateway:
        answer = await gateway.http.post(STREAM, content=body, headers=GZIP)
        (question, _) = await gateway.messages()
    assert answer.status_code == 200
    assert question["content"] == text


@pytest.mark.parametrize("path", POSTS)
async def test_a_bomb_is_too_large(tmp_path: Path, path: str) -> None:
    bomb = gzip.compress(b" " * 300_000_000, 1)
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        answer = await gateway.http.post(path, content=bomb, headers=GZIP)
        assert gateway.transport.seen_requests == []
    assert answer.status_code == 413


async def test_compressed_data_without_end_is_too_large(tmp_path: Path) -> None:
    deflater = zlib.compressobj(wbits=31)
    empty_blocks = b"".join(deflater.flush(zlib.Z_FULL_FLUSH) or b"\0\0\0\xff\xff" for _ in range(300_000))
    async with served(tmp_path, lambda _: tokens("Hello"), max_body_bytes=1024 * 1024) as gateway:
        answer = await gateway.http.post(STREAM, content=empty_blocks, headers=GZIP)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b'{"content": "Hi"}',
        packed({"content": "Hi"})[:-4],
        packed({"content": "Hi"})[:12],
        packed({"content": "Hi"})[:-8] + b"\0" * 8,
        packed({"content": "Hi"}) + b"more",
        packed({"content": "Hi"}) + packed({"content": "Ho"}),
        zlib.compress(b'{"content": "Hi"}'),
        b"\x1f\x8b",
    ],
    ids=["plain", "cut at the end", "cut", "wrong checksum", "more", "another", "deflate", "two bytes"],
)
async def test_broken_gzip_is_a_bad_request(tmp_path: Path, body: bytes) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        answer = await gateway.http.post(STREAM, content=body, headers=GZIP)
        after = await gateway.http.get("/health")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert after.status_code == 200


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("coding", ["deflate", "br", "zstd", "gzip, gzip", "gzip, br", "nonsense"])
async def test_other_encodings_are_refused_with_the_one_that_is_read(
    tmp_path: Path, path: str, coding: str
) -> None:
    headers = {**GZIP, "content-encoding": coding}
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        answer = await gateway.http.post(path, content=packed(POSTS[path]), headers=headers)
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip")


async def test_an_empty_body_that_calls_itself_gzip_is_an_empty_body(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        created = await gateway.http.post("/api/chatbot/sessions", content=b"", headers=GZIP)
    assert created.status_code == 201


async def test_a_bomb_is_decompressed_a_piece_at_a_time_as_it_is_read() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))

    async def receive() -> Message:
        return {"type": "http.request", "body": bomb, "more_body": False}

    body = GzipBody(receive, len(bomb))
    pieces = [len((await body.receive())["body"]) for _ in range(3)]
    assert pieces == [PIECE_BYTES] * 3
