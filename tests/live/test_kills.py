"""A gateway killed with -9 again and again in mid-reply, in front of a real llama.cpp."""

import asyncio
import random
import signal
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.house import House, gateway_of
from tests.live.llama_server import LlamaServer, exactly, random_model, requires_llama, running_llama
from tests.live.looking import look_again
from tests.web.event_source import EventSource, kinds
from tests.web.gateway_server import STREAM
from tests.web.raw_reader import RawReader
from transports.llama.embedded_server import tiny_model_path

pytestmark = [pytest.mark.live, requires_llama()]

READERS = 4
KILLS = 8
"""Enough that replies begin and end between kills. `make chaos` kills more often."""
TOKENS = 500
SETTINGS: dict[str, Any] = {"temperature": 0, "max_tokens": TOKENS, "options": {"ignore_eos": True}}


@dataclass
class Asked:
    """One reply. source: all events that its reader got, from all gateways."""

    question: str
    stream_id: str
    source: EventSource = field(default_factory=EventSource)


async def own_output(llama: LlamaServer, question: str) -> str:
    """Return the model's reply to the question, without a gateway."""
    body = {**SETTINGS, **SETTINGS["options"], "messages": [{"role": "user", "content": question}]}
    async with httpx.AsyncClient(base_url=llama.url, timeout=60) as client:
        answer = (await client.post("/v1/chat/completions", json=body)).json()
    return str(answer["choices"][0]["message"]["content"])


class Campaign:
    """Readers that ask one question after the other, and the gateway that is killed under them."""

    def __init__(self, llama: LlamaServer, tmp_path: Path, seed: int) -> None:
        self._llama = llama
        self._tmp_path = tmp_path
        self._dice = random.Random(seed)
        self.asked: list[Asked] = []

    async def run(self) -> None:
        running: list[Asked] = []
        for kill in range(KILLS + 1):
            async with gateway_of(self._tmp_path, self._llama.url) as house:
                readers = [(one, await house.client.come_back(one.stream_id, one.source)) for one in running]
                while len(readers) < READERS:
                    readers.append(await self._ask(house))
                running = await self._read(house, readers, last=kill == KILLS)
                if kill < KILLS:
                    await house.program.end(signal.SIGKILL)
                else:
                    self.rows = {row["stream_id"]: row for row in await house.messages()}

    async def _ask(self, house: House) -> tuple[Asked, RawReader]:
        question = f"question {len(self.asked)}"
        reader = await house.begin(question, resumable=True, **SETTINGS)
        one = Asked(question, reader.stream_id, reader.source)
        self.asked.append(one)
        return one, reader

    async def _read(self, house: House, readers: list[tuple[Asked, RawReader]], *, last: bool) -> list[Asked]:
        """Read to a random place of one of the replies, or to the ends. Return those without an end."""
        if last:
            await asyncio.gather(*(reader.read() for _, reader in readers))
            return []
        first, its_reader = self._dice.choice(readers)
        chars = first.source.chars + self._dice.randrange(600)
        others = [reader.read() for _, reader in readers if reader is not its_reader]
        async with asyncio.TaskGroup() as tasks:
            reading = [tasks.create_task(other) for other in others]
            await its_reader.read(lambda: first.source.chars >= chars)
            for task in reading:
                task.cancel()
        return [one for one, _ in readers if not one.source.ended]


@pytest.mark.parametrize("seed", [1])
async def test_no_character_is_lost_doubled_or_generated_twice(tmp_path: Path, seed: int) -> None:
    async with (
        asyncio.timeout(300),
        running_llama(
            random_model(), "--parallel", str(READERS), "--ctx-per-slot", "2048", "--tokens-per-s", "250"
        ) as llama,
    ):
        campaign = Campaign(llama, tmp_path, seed)
        await campaign.run()
        generated = await llama.figure("tokens_predicted_total")
        own = {one.question: await own_output(llama, one.question) for one in campaign.asked}
    assert len(campaign.asked) > READERS
    for one in campaign.asked:
        (end,) = one.source.ends
        row = campaign.rows[one.stream_id]
        assert (end["type"], end["reason"]) == ("done", "length"), end
        assert one.source.text == end["full_content"] == row["content"] == own[one.question]
        told = [event for event in one.source.told if event["type"] != "progress"]
        assert kinds(told) == ["metadata", "chunk", "done"]
        assert (row["status"], row["usage"]["completion_tokens"]) == ("complete", TOKENS)
    assert generated == TOKENS * len(campaign.asked)


def has_more_than(source: EventSource, told: int) -> bool:
    return len(source.told) > told


async def test_every_event_id_of_a_continued_reply_is_a_place_to_come_back_to(tmp_path: Path) -> None:
    question = exactly(" ".join(f"{number} river" for number in range(100))).sampling
    asked: dict[str, Any] = {"max_tokens": 1000, "options": dict(question.options)}
    async with asyncio.timeout(300), running_llama(tiny_model_path(), "--tokens-per-s", "100") as llama:
        async with gateway_of(tmp_path, llama.url) as house:
            reader = await house.client.ask("say it", resumable=True, **asked)
            await reader.read(lambda: reader.source.chars > 50)
            stream_id, last_id = reader.stream_id, reader.source.last_id
            await house.program.end(signal.SIGKILL)
        async with gateway_of(tmp_path, llama.url) as house:
            again = EventSource()
            again.last_id = last_id
            reader = await house.client.come_back(stream_id, again)
            ids: list[str | None] = []
            while len(ids) < 20:
                told = len(again.told)
                await reader.read(partial(has_more_than, again, told))
                ids.append(again.last_id)
            statuses = set()
            for id in ids:
                headers = {"last-event-id": str(id)}
                async with house.http.stream("GET", f"{STREAM}/{stream_id}", headers=headers) as answer:
                    statuses.add(answer.status_code)
            await reader.read()
    assert statuses == {200}
    assert again.ends[-1]["type"] == "done"


async def test_a_stop_leaves_a_reply_in_the_model_servers_queue_to_the_next_start(tmp_path: Path) -> None:
    endless: dict[str, Any] = {**SETTINGS, "max_tokens": 4000}
    one_slot = ("--parallel", "1", "--ctx-per-slot", "8192")
    async with asyncio.timeout(300), running_llama(random_model(), *one_slot) as llama:
        async with gateway_of(tmp_path, llama.url, DRAIN_S="0.1") as house:
            first = await house.client.ask("the first", resumable=True, **endless)
            await first.begin()
            queued = await house.client.ask("the second", resumable=True, **endless)
            while await llama.figure("requests_deferred") == 0:
                await look_again()
            house.program.process.send_signal(signal.SIGTERM)
            await first.read()
            await queued.read()
            assert await house.program.ended() == 0
        async with gateway_of(tmp_path, llama.url) as house:
            for reader in (first, queued):
                again = await house.client.come_back(reader.stream_id, reader.source)
                await again.read()
    for reader in (first, queued):
        (end,) = reader.source.ends
        assert (end["type"], end["reason"]) == ("done", "length"), end
        assert reader.source.text == end["full_content"]


async def test_a_stop_in_mid_reply_leaves_it_to_the_next_start(tmp_path: Path) -> None:
    text = " ".join(f"{number} river" for number in range(100))
    asked: dict[str, Any] = {"max_tokens": 1000, "options": dict(exactly(text).sampling.options)}
    async with asyncio.timeout(300), running_llama(tiny_model_path(), "--tokens-per-s", "100") as llama:
        async with gateway_of(tmp_path, llama.url, DRAIN_S="0.1") as house:
            reader = await house.client.ask("say it", resumable=True, **asked)
            classic = await house.client.ask("say it", **asked)
            await reader.read(lambda: reader.source.chars > 50)
            await classic.read(lambda: classic.source.chars > 50)
            house.program.process.send_signal(signal.SIGTERM)
            await reader.read()
            await classic.read()
            code = await house.program.ended()
        assert (code, reader.source.ends) == (0, [])
        assert reader.source.retry_ms
        assert classic.source.ends[-1]["reason"] == "shutdown"
        async with gateway_of(tmp_path, llama.url) as house:
            again = await house.client.come_back(reader.stream_id, reader.source)
            await again.read()
            statuses = sorted(row["status"] for row in await house.messages())
            generated = await llama.figure("tokens_predicted_total")
            counted = again.source.ends[-1]["usage"]["completion_tokens"]
    assert again.source.text == again.source.ends[-1]["full_content"] == text
    assert statuses == ["complete", "interrupted"]
    assert generated <= 2 * counted, "one generation for each of the two replies"
