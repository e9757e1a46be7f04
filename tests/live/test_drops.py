"""Real connections of a real server in front of a real llama.cpp, dropped wherever it hurts."""

import asyncio
import random
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.llama_server import random_model, requires_llama, running_llama
from tests.live.test_gateway import Gateway, running_gateway
from tests.web.event_source import EventSource
from tests.web.raw_reader import RawClient

pytestmark = [pytest.mark.live, requires_llama()]

READERS = 4
DROPS = 60
TOKENS = 3000


@dataclass
class Tally:
    drops: int = 0


class Dropper:
    """Asks for one reply after the other and drops its connections, until all droppers together have dropped
    DROPS of them; every reply is read to its end."""

    def __init__(self, client: RawClient, seed: int, tally: Tally) -> None:
        self._client = client
        self._tally = tally
        self._chance = random.Random(seed)
        self.heard: list[EventSource] = []

    async def read(self) -> None:
        while self._tally.drops < DROPS:
            self.heard.append(await self._one_reply())

    async def _one_reply(self) -> EventSource:
        options = {"ignore_eos": True, "seed": self._chance.randrange(1000)}
        reader = await self._client.ask("go on", resumable=True, max_tokens=TOKENS, options=options)
        while True:
            await reader.read(room=self._room())
            if reader.source.ended:
                await reader.close()
                return reader.source
            # Where the server cut us off, since its journal had dropped what we still wanted, nothing is left
            # to drop: a browser would come back as well.
            await (reader.reset() if self._chance.random() < 0.5 else reader.close())
            self._tally.drops += 1
            reader = await self._client.come_back(reader.stream_id, reader.source)

    def _room(self) -> int | None:
        """In the middle of a frame, or behind many; what a reader missed comes in frames of many tokens."""
        if self._tally.drops >= DROPS:
            return None
        return self._chance.randint(1, self._chance.choice([200, 4000, 40_000]))


async def kept_text(gateway: Gateway, source: EventSource) -> str:
    started, end = source.told[0], source.ends[-1]
    return str((await gateway.kept(end, started["session_id"]))["content"])


async def test_sixty_drops_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(300),
        running_llama(random_model(), "--parallel", str(READERS), "--ctx-per-slot", "4096") as llama,
        running_gateway(tmp_path, LLM_SERVER_URL=llama.url, JOURNAL_MAX_BYTES="50000") as gateway,
        RawClient(str(gateway.http.base_url).rstrip("/")) as client,
    ):
        tally = Tally()
        droppers = [Dropper(client, seed, tally) for seed in range(READERS)]
        async with asyncio.TaskGroup() as group:
            for dropper in droppers:
                group.create_task(dropper.read())
        heard = [source for dropper in droppers for source in dropper.heard]
        kept = [await kept_text(gateway, source) for source in heard]
        await gateway.program.end(signal.SIGTERM)
    assert tally.drops >= DROPS
    for source, text in zip(heard, kept, strict=True):
        assert source.text == text != ""
        assert [end["full_content"] for end in source.ends] == [text]
        assert source.ends[0]["reason"] == "length"
    assert "ERROR" not in gateway.program.said
    assert "Traceback" not in gateway.program.said
