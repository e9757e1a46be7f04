"""Connections and replies that have ended are freed at once: cycles are collected seldom."""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.contract.events import Delta
from gateway.core.reply_accumulator import ReplyAccumulator
from gateway.core.reply_task import ReplyTask
from gateway.core.run import Run
from gateway.web.chat.reply_stream import ReplyStream
from gateway.web.http.connection import ClientConnection
from tests.live.looking import look_again
from tests.web.gateway_server import Served, served
from transports.scripted import tokens

FREED = (ClientConnection, RequestResponseCycle, ReplyStream, ReplyTask, ReplyAccumulator, Run)
OPENAI = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def alive() -> Counter[str]:
    return Counter(type(each).__name__ for each in gc.get_objects() if type(each) in FREED)


@asynccontextmanager
async def all_freed(gateway: Served) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client; when it has left, wait until all that it caused is freed without a collection."""
    gc.collect()
    gc.disable()
    try:
        before = alive()
        async with asyncio.timeout(30):
            async with httpx.AsyncClient(base_url=gateway.url) as client:
                yield client
            while alive() - before:
                await look_again()
    except TimeoutError:
        pytest.fail(f"still there: {alive() - before}")
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/messages/stream", {"content": "hi"}),
        ("/messages/stream", {"content": "hi", "stream": False}),
        ("/v1/chat/completions", OPENAI | {"stream": True}),
        ("/v1/chat/completions", OPENAI),
        ("/v1/messages", OPENAI | {"stream": True, "max_tokens": 9}),
        ("/api/chat", OPENAI),
    ],
)
@pytest.mark.parametrize("closing", [False, True])
async def test_a_connection_and_its_reply(
    tmp_path: Path, path: str, body: dict[str, Any], closing: bool
) -> None:
    headers = {"Connection": "close"} if closing else {}
    async with served(tmp_path, lambda _: tokens("Hello", " there")) as gateway, all_freed(gateway) as client:
        for _ in range(3):
            response = await client.post(path, json=body, headers=headers)
            assert response.status_code == 200


async def test_a_client_that_leaves_in_the_middle(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [[Delta("Hello")]]) as gateway, all_freed(gateway) as client:
        for _ in range(3):
            async with client.stream("POST", "/messages/stream", json={"content": "hi"}) as response:
                await anext(response.aiter_raw())


@pytest.mark.parametrize("path", ["/health", "/api/chatbot/sessions", "/nowhere"])
async def test_a_connection_without_a_reply(tmp_path: Path, path: str) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway, all_freed(gateway) as client:
        await client.get(path)
