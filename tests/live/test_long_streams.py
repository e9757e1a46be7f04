"""A gateway killed in mid-reply loses no text if the model server has dropped the reply's beginning."""

import asyncio
import json
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.house import House, gateway_of, until
from tests.live.keeping_model import KEPT_BYTES, OPENING, KeepingModel, keeping_model
from tests.live.llama_server import LONG_CONTEXT, random_model, requires_llama, running_llama
from tests.web.event_source import kinds
from tests.web.raw_reader import RawReader

pytestmark = pytest.mark.live

OPTIONS = {"ignore_eos": True, "logprobs": True, "top_logprobs": 15}
ASKED: dict[str, Any] = {"temperature": 0, "max_tokens": 4_000}
"""With OPTIONS 6.4 MB of events: less than twice what llama.cpp keeps."""
HALF = KEPT_BYTES // 2


def stored_offset(folder: Path) -> int:
    """Return the offset in the stream that was stored with the text; 0 before the first."""
    with closing(sqlite3.connect(f"file:{folder}/gateway.db?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT handle FROM messages WHERE role = 'assistant'").fetchall()
    return max((int(json.loads(handle).get("offset") or 0) for (handle,) in rows if handle), default=0)


async def until_stored(folder: Path, offset: int) -> None:
    async def is_stored() -> bool:
        return stored_offset(folder) >= offset

    await until(is_stored, True)


async def check(house: House, reader: RawReader, expected: str) -> None:
    (row,) = await house.messages()
    (end,) = reader.source.ends
    assert end["type"] == "done"
    told = [event for event in reader.source.told if event["type"] != "progress"]
    assert kinds(told) == ["metadata", "chunk", "done"]
    assert reader.source.text == end["full_content"] == row["content"] == expected


@requires_llama()
async def test_llama_has_dropped_the_beginning(tmp_path: Path) -> None:
    slot = ("--parallel", "1", "--ctx-per-slot", str(LONG_CONTEXT))
    async with asyncio.timeout(560), running_llama(random_model(), *slot) as llama:
        async with gateway_of(tmp_path, llama.url) as house:
            reader = await house.client.ask("go on", resumable=True, **ASKED, options=OPTIONS)
            reading = asyncio.create_task(reader.read())
            await until_stored(tmp_path, KEPT_BYTES + 1)
            await house.program.end(signal.SIGKILL)
            await reading
        async with gateway_of(tmp_path, llama.url) as house:
            again = await house.client.come_back(reader.stream_id, reader.source)
            await again.read()
            question = {"messages": [{"role": "user", "content": "go on"}]}
            async with httpx.AsyncClient(base_url=llama.url, timeout=None) as client:  # noqa: S113
                body = {**ASKED, "ignore_eos": True, **question}
                own = (await client.post("/v1/chat/completions", json=body)).json()
            await check(house, again, own["choices"][0]["message"]["content"])


@pytest.fixture
async def model() -> AsyncIterator[KeepingModel]:
    async with keeping_model() as started:
        yield started


async def say_much(model: KeepingModel, reader: RawReader, word: str) -> None:
    """Generate more than the server keeps, and read it: a gateway that fell behind would lose the stream."""
    for number in range(3):
        model.say(f"{word}{number} ", padding=HALF)
        await reader.read(lambda number=number: f"{word}{number} " in reader.source.text)  # type: ignore[misc]


async def test_the_text_goes_on_at_the_stored_offset(tmp_path: Path, model: KeepingModel) -> None:
    async with asyncio.timeout(240):
        async with gateway_of(tmp_path, model.url) as house:
            reader = await house.begin(resumable=True)
            await say_much(model, reader, "two")
            await until_stored(tmp_path, 3 * HALF)
            model.say("three ")
            await reader.read(lambda: "three" in reader.source.text)
            await house.program.end(signal.SIGKILL)
        model.say("four ")
        async with gateway_of(tmp_path, model.url) as house:
            again = await house.client.come_back(reader.stream_id, reader.source)
            await again.read(lambda: "four" in again.source.text)
            model.say("five")
            model.end()
            await again.read()
            await check(house, again, OPENING + "two0 two1 two2 three four five")


async def test_it_can_be_continued_again_and_again(tmp_path: Path, model: KeepingModel) -> None:
    async with asyncio.timeout(240):
        async with gateway_of(tmp_path, model.url) as house:
            reader = await house.begin(resumable=True)
            await say_much(model, reader, "a")
            await until_stored(tmp_path, 3 * HALF)
            await house.program.end(signal.SIGKILL)
        for times, word in enumerate("bc", 2):
            async with gateway_of(tmp_path, model.url) as house:
                again = await house.client.come_back(reader.stream_id, reader.source)
                await say_much(model, again, word)
                await until_stored(tmp_path, times * 3 * HALF)
                await house.program.end(signal.SIGKILL)
        model.end()
        async with gateway_of(tmp_path, model.url) as house:
            again = await house.client.come_back(reader.stream_id, reader.source)
            await again.read()
            await check(house, again, OPENING + "a0 a1 a2 b0 b1 b2 c0 c1 c2 ")


async def test_a_reply_of_which_a_part_is_nowhere_is_interrupted(tmp_path: Path, model: KeepingModel) -> None:
    async with asyncio.timeout(240):
        async with gateway_of(tmp_path, model.url) as house:
            reader = await house.begin(resumable=True)
            await until_stored(tmp_path, 1)
            await house.program.end(signal.SIGKILL)
        for _ in range(3):
            model.say("lost ", padding=HALF)
        async with gateway_of(tmp_path, model.url, ADOPT_S="0.5") as house:
            again = await house.client.come_back(reader.stream_id, reader.source)
            await again.read()
            (row,) = await house.messages()
    (end,) = again.source.ends
    assert (end["type"], end["reason"], row["status"]) == ("error", "interrupted", "interrupted")
    assert again.source.text == row["content"] == OPENING
