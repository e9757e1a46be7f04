"""Clients that ask, drop their connections at random, come back to any gateway, and keep what they heard."""

import asyncio
import random
from dataclasses import dataclass, field
from uuid import uuid4

import httpx

from tests.chaos.town import Town
from tests.live.llama_server import exactly
from tests.web.event_source import EventSource
from tests.web.gateway_server import STREAM
from tests.web.raw_reader import RawReader

WORDS = ("river", "boat", "lamp", "stone", "green", "house", "seven", "crow", "naïve", "日本", "🙂")
RETRY_S = 0.2
CONNECT_S, HEAD_S = 5.0, 20.0
"""Seconds after which a client tries another gateway: one that is frozen or cut off says nothing."""
PATIENCE_S = 600.0
"""Seconds within which a reply must come to its end."""


@dataclass(slots=True)
class Heard:
    """One reply as its client heard it.

    Attributes:
        expected: what the model generates: its grammar allows nothing else.
        resumable: False for a classic reply, which ends with its connection.
        stream_id: None if no gateway accepted the question.
        drops: connections that the client dropped.
        losses: connections that ended before the reply did.
        refusals: statuses of answers other than the stream, "nothing more" and 503, "try again".
        hung: the reply had no end within PATIENCE_S.
    """

    expected: str
    resumable: bool
    source: EventSource = field(default_factory=EventSource)
    stream_id: str | None = None
    drops: int = 0
    losses: int = 0
    refusals: list[int] = field(default_factory=list)
    hung: bool = False
    over: bool = False

    @property
    def grammar(self) -> str:
        """It allows nothing but the expected text."""
        return str(exactly(self.expected).sampling.options["grammar"])


class Client:
    """Asks one question after the other and reads each reply to its end."""

    def __init__(self, town: Town, seed: str, words: tuple[int, int]) -> None:
        self._town = town
        self._chance = random.Random(seed)
        self._words = words
        self.heard: list[Heard] = []

    async def run(self, enough: asyncio.Event) -> None:
        while not enough.is_set():
            reply = self._question()
            self.heard.append(reply)
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await (self._follow(reply) if reply.resumable else self._read_once(reply))
            except TimeoutError:
                reply.hung = True
            reply.over = True
            if reply.source.ends and reply.source.ends[0]["type"] == "error":
                await asyncio.sleep(RETRY_S)

    def _question(self) -> Heard:
        count = self._chance.randint(*self._words)
        # A number before each word: a text that is repeated or cut in the middle cannot look complete.
        text = " ".join(f"{number}{self._chance.choice(WORDS)}" for number in range(count))
        return Heard(text, resumable=self._chance.random() < 0.8)

    async def _follow(self, reply: Heard) -> None:
        key = uuid4().hex
        while not reply.over:
            try:
                reader = await self._connect(reply, key)
            except OSError:
                await asyncio.sleep(RETRY_S)
                continue
            try:
                await self._read(reply, reader)
            finally:
                await reader.close()

    async def _connect(self, reply: Heard, key: str) -> RawReader:
        url = self._chance.choice(self._town.urls)
        if reply.stream_id is None:
            request = self._asking(url, reply)
            request.headers["idempotency-key"] = key
        else:
            last = reply.source.last_id
            headers = {} if last is None else {"last-event-id": last}
            request = httpx.Request("GET", f"{url}{STREAM}/{reply.stream_id}", headers=headers)
        request.headers.update(self._town.headers)
        reader = RawReader(reply.source)
        async with asyncio.timeout(CONNECT_S):
            await reader.ask(request, None)
        try:
            async with asyncio.timeout(HEAD_S):
                await reader.read(
                    lambda: reader.status not in (0, 200) or "sluice-stream-id" in reader.headers
                )
        except TimeoutError:
            await reader.close()
            raise
        return reader

    def _asking(self, url: str, reply: Heard) -> httpx.Request:
        body = {
            "content": "say it",
            "resumable": reply.resumable,
            "max_tokens": 4 * len(reply.expected),
            "options": {"grammar": reply.grammar, "temperature": 0},
        }
        return httpx.Request("POST", url + STREAM, json=body)

    async def _read(self, reply: Heard, reader: RawReader) -> None:
        if reader.status == 204:
            reply.over = True
        elif reader.status != 200:
            if reader.status not in (0, 503):
                reply.refusals.append(reader.status)
                reply.over = len(reply.refusals) > 20
            await asyncio.sleep(RETRY_S)
        else:
            if "sluice-stream-id" not in reader.headers:  # it ended in its head
                return
            reply.stream_id = reader.stream_id
            drops = self._chance.random() < 0.9
            await reader.read(lambda: reply.source.ended, room=self._room() if drops else None)
            if reply.source.ended:
                reply.over = True
            elif reader.over:
                reply.losses += 1
                await asyncio.sleep(self._chance.random() * RETRY_S)
            else:
                reply.drops += 1
                if self._chance.random() < 0.5:
                    await reader.reset()

    def _room(self) -> int:
        return self._chance.randint(1, self._chance.choice([100, 600, 4000]))

    async def _read_once(self, reply: Heard) -> None:
        try:
            reader = RawReader(reply.source)
            request = self._asking(self._chance.choice(self._town.urls), reply)
            request.headers.update(self._town.headers)
            await reader.ask(request, None)
        except OSError:
            await asyncio.sleep(RETRY_S)
            return
        try:
            await reader.read()
            if reader.status == 200:
                reply.stream_id = reader.stream_id
            else:
                await asyncio.sleep(RETRY_S)
        finally:
            await reader.close()
