"""Three gateways behind nginx, killed one after the other while browsers and other clients read."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.dialects.ai_sdk import AiSdk
from gateway.dialects.registry import LAM
from tests.contract.rig_dialects import DIALECT_RIGS
from tests.dialects.order import ai_sdk, lam
from tests.dialects.order.frames import Heard
from tests.live.cluster import Cluster, cluster
from tests.live.keeping_model import OPENING, KeepingModel, keeping_model
from tests.live.proxies import requires_proxy
from tests.live.returning_readers import ChatReader, RepeatingReader, ReturningReader
from tests.page.browser import Tab, browser, requires_chromium, tab
from tests.plain_http import plain_http
from tests.store.postgres import PostgresServer, requires_postgres
from tests.web.event_source import kinds

pytestmark = [pytest.mark.live, requires_postgres(), requires_proxy("nginx")]

WITHIN_S = 280
SAID = tuple(f", and {name} was killed" for name in ("the first", "the second", "the third"))


@pytest.fixture
async def model() -> AsyncIterator[KeepingModel]:
    async with keeping_model() as started:
        yield started


async def killed_in_turn(site: Cluster, model: KeepingModel, read: Callable[[str], Any]) -> None:
    """Kill each gateway, start it again, and go on when all readers have read on.

    read: returns when all readers have read this text.
    """
    await read(OPENING)
    for (name, gateway), text in zip(site.gateways.items(), SAID, strict=True):
        assert site.owned_by(name), f"{name} makes no reply"
        await gateway.kill()
        model.say(text)
        await gateway.start()
        await read(text)
    model.end()


@asynccontextmanager
async def reading(*readers: ReturningReader) -> AsyncIterator[Callable[[str], Any]]:
    """Read all replies to their ends. Give a function that waits until all readers have received a text."""

    async def read(text: str) -> None:
        await asyncio.gather(*(reader.until(text) for reader in readers))

    async with asyncio.TaskGroup() as tasks:
        for reader in readers:
            tasks.create_task(reader.run(), name=reader.question)
        yield read


def check(site: Cluster, model: KeepingModel, heard: dict[str, tuple[str, Heard]]) -> None:
    """Assert that each reader's text is the one of its row and of the model.

    heard: by stream id, the question and the reader's text.
    """
    rows = site.rows()
    assert model.asked["POST /v1/chat/completions"] == len(rows) == len(model.streams)
    for stream_id, (question, told) in heard.items():
        expected = OPENING + "".join(SAID)
        assert rows[stream_id] == ("complete", expected), question
        assert told.text == model.of(question).text == expected, question
        assert told.ends in ((), ("complete",)), question


async def test_readers_in_all_dialects_lose_no_character(
    tmp_path: Path, postgres: PostgresServer, model: KeepingModel
) -> None:
    async with (
        asyncio.timeout(WITHIN_S),
        cluster(tmp_path, postgres, model.url) as site,
        plain_http(site.url) as client,
    ):
        readers = [(ReturningReader(client, rig.dialect, f"in {rig.name}"), rig.hear) for rig in DIALECT_RIGS]
        readers += [(RepeatingReader(client, LAM, "again and again"), lam.hear)]
        readers += [(ChatReader(client, AiSdk(), "a-chat"), ai_sdk.hear)]
        async with reading(*(reader for reader, _ in readers)) as read:
            await killed_in_turn(site, model, read)
        check(
            site, model, {reader.stream_id: (reader.question, hear(reader.told)) for reader, hear in readers}
        )
    assert all(reader.connections > 1 for reader, _ in readers)


class EventSourceReader:
    """A browser's own EventSource. It reconnects by itself, and not after an error status.

    Attributes:
        told: its events, after `until`.
    """

    def __init__(self, opened: Tab) -> None:
        self._page = opened.page

    async def open(self, url: str) -> None:
        await self._page.evaluate(
            """url => {
              const source = new EventSource(url);
              window.told = [];
              window.states = [];
              source.onmessage = ({data}) => window.told.push(JSON.parse(data));
              source.onerror = () => window.states.push(source.readyState);
            }""",
            url,
        )

    async def until(self, text: str) -> None:
        told = "text => window.told.some(({content}) => content?.includes(text))"
        await self._page.wait_for_function(told, arg=text)

    async def told(self) -> list[dict[str, Any]]:
        """Return all events, after the source has closed: it does so when it gets 204."""
        await self._page.wait_for_function("() => window.states.at(-1) === EventSource.CLOSED")
        return list(await self._page.evaluate("window.told"))


class PageReader:
    """The page. It notes every text that is shown as a failure, however short."""

    def __init__(self, opened: Tab) -> None:
        self._opened = opened
        self._page = opened.page

    async def ask(self, question: str) -> None:
        await self._page.evaluate(
            """() => {
              window.failures = [];
              new MutationObserver(() => {
                const shown = document.querySelectorAll(".failure, [role=alert]");
                for (const {innerText} of shown) window.failures.push(innerText);
              }).observe(document.body, {childList: true, subtree: true, characterData: true});
            }"""
        )
        await self._opened.write(question)

    async def until(self, text: str) -> None:
        await self._page.wait_for_selector(f".message.reply >> text={text}")

    async def failures(self) -> list[str]:
        thrown = [said for said in self._opened.complaints if said.startswith("exception")]
        return [*thrown, *await self._page.evaluate("window.failures")]


@requires_chromium()
async def test_a_page_and_an_event_source_notice_only_a_pause(
    tmp_path: Path, postgres: PostgresServer, model: KeepingModel
) -> None:
    async with (
        asyncio.timeout(WITHIN_S),
        cluster(tmp_path, postgres, model.url) as site,
        plain_http(site.url) as client,
        browser() as started,
        tab(started, site.url) as shown,
        tab(started, site.url) as blank,
    ):
        page, source = PageReader(shown), EventSourceReader(blank)
        others = [ReturningReader(client, LAM, f"reader {number}") for number in range(9)]
        async with reading(*others) as read:
            await page.ask("the page")
            await others[0].until(OPENING)
            first = json.loads(others[0].told.partition(b"\n")[0].removeprefix(b"data: "))
            await source.open(first["resume_url"])

            async def read_all(text: str) -> None:
                await asyncio.gather(read(text), page.until(text), source.until(text))

            await killed_in_turn(site, model, read_all)
        await shown.ended()
        told = await source.told()
        expected = OPENING + "".join(SAID)
        assert await shown.shown() == [expected]
        assert await page.failures() == []
        assert kinds(told) == ["metadata", "chunk", "done"]
        assert "".join(event["content"] for event in told if event["type"] == "chunk") == expected
        check(site, model, {reader.stream_id: (reader.question, lam.hear(reader.told)) for reader in others})
        assert model.of("the page").text == expected
