"""A gateway is killed with -9 in mid-reply, and its model server is away when the next gateway starts."""

import asyncio
import json
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.live.breakable_link import BreakableLink, breakable_link
from tests.live.house import House, gateway_of, until
from tests.live.llama_server import LlamaServer, random_model, requires_llama, running_llama
from tests.live.test_kills import SETTINGS, TOKENS, own_output
from tests.web.event_source import EventSource, kinds

pytestmark = [pytest.mark.live, requires_llama()]

SLOTS = ("--parallel", "2", "--ctx-per-slot", "32768", "--tokens-per-s", "100")
ENDLESS: dict[str, Any] = {**SETTINGS, "max_tokens": 30_000}
"""Takes longer than a test may."""
LONG_ENOUGH, TOO_SHORT = "100", "1"
AWAY = {"of one": "Replies fail until a model server is there", "of two": "is away: "}


@dataclass
class Server:
    """A model server behind a link. how: it is away."""

    llama: LlamaServer
    link: BreakableLink
    how: str

    async def leave(self) -> None:
        if self.how == "frozen":
            self.llama.freeze()
        else:
            await self.link.cut()

    async def come_back(self) -> None:
        if self.how == "frozen":
            self.llama.thaw()
        else:
            await self.link.mend()


@pytest.fixture(params=["frozen", "cut off"])
async def server(no_task_is_left_over: None, request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    async with (
        asyncio.timeout(300),
        running_llama(random_model(), *SLOTS) as llama,
        breakable_link(urlsplit(llama.url).port or 0) as link,
    ):
        yield Server(llama, link, request.param)


@asynccontextmanager
async def urls_of(server: Server, pool: str) -> AsyncIterator[str]:
    """Give LLM_SERVER_URL. Of two equal servers, a gateway asks the first one."""
    if pool == "of one":
        yield server.link.url
    else:
        async with running_llama(random_model(), *SLOTS) as other:
            yield f"{server.link.url},{other.url}"


async def left_reply(tmp_path: Path, urls: str, asked: dict[str, Any]) -> tuple[str, EventSource]:
    """Begin a reply, and kill its gateway. Return the stream's id, and all that its reader got."""
    async with gateway_of(tmp_path, urls) as house:
        reader = await house.begin("question", resumable=True, **asked)
        await reader.read(lambda: reader.source.chars > 100)
        await house.program.end(signal.SIGKILL)
        await reader.read()
    assert not reader.source.ended
    return reader.stream_id, reader.source


def stored_conversation_id(tmp_path: Path) -> str:
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as database:
        (handle,) = database.execute("SELECT handle FROM messages WHERE handle IS NOT NULL").fetchone()
    return str(json.loads(handle)["conversation_id"])


async def row(house: House) -> dict[str, Any]:
    (message,) = await house.messages()
    return message


@pytest.mark.parametrize("pool", ["of one", "of two"])
async def test_a_reply_goes_on_when_its_server_is_back(tmp_path: Path, server: Server, pool: str) -> None:
    async with urls_of(server, pool) as urls:
        stream_id, source = await left_reply(tmp_path, urls, SETTINGS)
        await server.leave()
        async with gateway_of(tmp_path, urls, ADOPT_S=LONG_ENOUGH) as house:
            await house.program.until_said(AWAY[pool])
            reader = await house.client.come_back(stream_id, source)
            await server.come_back()
            await reader.read()
            kept = await row(house)
        generated = await server.llama.figure("tokens_predicted_total")
        own = await own_output(server.llama, "question")
    (end,) = source.ends
    assert (end["type"], end["reason"], generated) == ("done", "length", TOKENS)
    assert source.text == end["full_content"] == kept["content"] == own
    assert kinds(event for event in source.told if event["type"] != "progress") == [
        "metadata",
        "chunk",
        "done",
    ]


@pytest.mark.parametrize("pool", ["of one", "of two"])
async def test_a_reply_ends_when_its_server_stays_away(tmp_path: Path, server: Server, pool: str) -> None:
    async with urls_of(server, pool) as urls:
        stream_id, source = await left_reply(tmp_path, urls, ENDLESS)
        conversation_id = stored_conversation_id(tmp_path)
        before, late = source.text, EventSource()
        late.last_id = source.last_id
        await server.leave()
        async with gateway_of(tmp_path, urls, ADOPT_S=TOO_SHORT) as house:
            during = await house.client.come_back(stream_id, source)
            await during.read()
            another = await house.client.come_back(stream_id, EventSource())
            await another.read()
            await (await house.client.come_back(stream_id, late)).read()
            kept = await row(house)
            await server.come_back()
            await until(partial(server.llama.streams, conversation_id), [])  # one that ends by itself stays
    (end,) = source.ends
    assert another.source.ends == late.ends == [end]
    assert (end["type"], end["reason"]) == ("error", "interrupted")
    assert (kept["status"], end["full_content"]) == ("interrupted", kept["content"])
    assert another.source.text == kept["content"]
    assert before + late.text == source.text == max(before, kept["content"], key=len), (
        "a reader that is ahead is not cut back"
    )
