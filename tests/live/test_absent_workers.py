"""A gateway is killed with -9 in mid-reply, and the worker is away when the next gateway starts."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.live.breakable_link import BreakableLink, breakable_link
from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.house import House, gateway_of, until
from tests.live.llama_server import LlamaServer, random_model, requires_llama, running_llama
from tests.live.programs import Program
from tests.live.test_mqtt_kills import (
    NO_MODEL,
    SETTINGS,
    check,
    come_back,
    read_some,
    until_a_worker_is_ready,
    worker,
)
from tests.web.event_source import EventSource

pytestmark = [pytest.mark.live, requires_llama(), requires_mosquitto()]

ENDLESS: dict[str, Any] = {**SETTINGS, "max_tokens": 10_000}
"""Takes longer than a test may."""


@dataclass
class Village:
    """A worker that reaches its broker over a link. how: it is away."""

    tmp_path: Path
    port: int
    link: BreakableLink
    worker: Program
    model: LlamaServer
    how: str

    @asynccontextmanager
    async def gateway(self, **more: str) -> AsyncIterator[House]:
        broker = {"MQTT_BROKER_HOST": "127.0.0.1", "MQTT_BROKER_PORT": str(self.port)}
        settings = {"LLM_COMM_MODE": "mqtt", "GATEWAY_NAME": "gateway", **broker, **more}
        async with gateway_of(self.tmp_path, NO_MODEL, **settings) as house:
            yield house

    async def left_reply(self, asked: dict[str, Any]) -> tuple[str, EventSource]:
        """Begin a reply, and kill its gateway. Return the stream's id, and all that its reader got."""
        async with self.gateway() as house:
            await until_a_worker_is_ready(house)
            reader = await house.begin("question 0", resumable=True, **asked)
            await read_some([reader])
            await house.program.end(signal.SIGKILL)
            await reader.read()
        assert not reader.source.ended
        return reader.stream_id, reader.source

    async def leave(self) -> None:
        if self.how == "frozen":
            self.worker.process.send_signal(signal.SIGSTOP)
        else:
            await self.link.cut()
            await self.worker.until_said("lost the MQTT broker")

    async def come_back(self) -> None:
        if self.how == "frozen":
            self.worker.process.send_signal(signal.SIGCONT)
        else:
            await self.link.mend()


@pytest.fixture(params=["frozen", "cut off"])
async def village(
    no_task_is_left_over: None, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Village]:
    slowly = ("--ctx-per-slot", "16384", "--tokens-per-s", "30")
    async with (
        asyncio.timeout(300),
        running_mosquitto() as broker,
        running_llama(random_model(), *slowly) as model,
    ):
        port = broker.address.port
        async with breakable_link(port) as link, worker(urlsplit(link.url).port or 0, model) as away:
            yield Village(tmp_path, port, link, away, model, request.param)


async def busy(house: House) -> int | None:
    """Return the number of replies that the worker generates, by its latest status; None while it is away."""
    told = (await house.http.get("/api/admin/workers")).json()
    return int(told[0]["worker"]["busy"]) if told else None


async def test_a_reply_goes_on_when_its_worker_is_back(village: Village) -> None:
    stream_id, source = await village.left_reply(SETTINGS)
    await village.leave()
    async with village.gateway(ADOPT_S="100") as house:
        await house.program.until_said("continued replies of a gateway that has ended: 1")
        (reader,) = await come_back(house, {stream_id: source})
        await village.come_back()
        await reader.read()
        await check({stream_id: source}, await house.messages(), village.model)


async def test_a_reply_ends_when_its_worker_stays_away(village: Village) -> None:
    stream_id, source = await village.left_reply(ENDLESS)
    before = source.text
    await village.leave()
    async with village.gateway(ADOPT_S="1") as house:
        (reader,) = await come_back(house, {stream_id: source})
        await reader.read()
        (kept,) = await house.messages()
        await village.come_back()
        await until(partial(busy, house), 0)
    (end,) = source.ends
    assert (end["type"], end["reason"]) == ("error", "interrupted")
    assert (kept["status"], end["full_content"]) == ("interrupted", kept["content"])
    assert source.text == max(before, kept["content"], key=len), "a reader that is ahead is not cut back"
