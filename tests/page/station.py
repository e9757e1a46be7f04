"""A gateway whose rooms are open in several windows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser

from tests.live.house import House, gateway_of
from tests.live.model_server import ModelServer, model_server
from tests.page.browser import WRITES, Tab, browser, tab
from tests.page.pages import WITHIN_S, key_of

ROOMS = "/api/chatbot/rooms"


@dataclass
class Windows:
    """A gateway, and a browser for windows in its rooms."""

    house: House
    started: Browser

    @property
    def url(self) -> str:
        return str(self.house.http.base_url).rstrip("/")

    async def room(self, *devices: str) -> dict[str, Any]:
        body = {"title": "Pump station", "members": [{"device": name} for name in devices]}
        made = await self.house.http.post(ROOMS, json=body)
        return dict(made.json())

    @asynccontextmanager
    async def window(self, room: dict[str, Any], name: str, **options: Any) -> AsyncIterator[Tab]:
        """A browser of its own in the room, under this name."""
        async with tab(self.started, f"{self.url}/#/chat/{room['uuid']}", ".room-head", **options) as opened:
            await opened.page.wait_for_selector(WRITES)
            await rename(opened, name)
            yield opened


@dataclass
class Station(Windows):
    """The same, with a model that writes what the test says."""

    model: ModelServer


async def rename(opened: Tab, name: str, typed: str | None = None) -> None:
    """Change the name of the tab's user, who is in the room already: the page then connects anew."""
    if not await opened.page.locator(".members").count():
        await opened.page.click(".room-head [aria-controls=members]")
    await opened.page.locator(".member", has_text="you").wait_for()
    await opened.page.fill(".name-field input", typed or name)
    await opened.page.press(".name-field input", "Enter")
    await opened.page.locator(".member", has_text=name).filter(has_text="you").wait_for()


async def heard(opened: Tab, author: str, text: str) -> None:
    """Wait until the tab shows this message of another one."""
    message = opened.page.locator(".question.theirs", has=opened.page.locator(f".author >> text={author}"))
    await message.filter(has_text=text).wait_for()


@asynccontextmanager
async def station(tmp_path: Path, **settings: str) -> AsyncIterator[Station]:
    async with (
        asyncio.timeout(WITHIN_S),
        model_server() as model,
        gateway_of(tmp_path, model.url, **settings) as house,
        browser() as started,
    ):
        yield Station(house, started, model)


@asynccontextmanager
async def entered(at: Station, key: str, address: str = "") -> AsyncIterator[Tab]:
    """A browser whose visitor has logged in with this key."""
    async with tab(at.started, f"{at.url}/{address}", "input[type=password]") as opened:
        await opened.page.fill("input[type=password]", key)
        await opened.page.press("input[type=password]", "Enter")
        yield opened


async def keys_of_three(tmp_path: Path) -> list[str]:
    return [await key_of(tmp_path, user) for user in ("anna", "ben", "eve")]
