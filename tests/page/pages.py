"""Tabs with the page of a real gateway."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.live.house import House, gateway_of
from tests.live.model_server import ModelServer, model_server
from tests.live.nursery import forked_sluice
from tests.live.scripted_model import scripted_model
from tests.page.browser import WRITES, Tab, browser, tab
from tests.store.migrated import migrated

WITHIN_S = 240


@asynccontextmanager
async def chat_tab(tmp_path: Path, ready: str = WRITES, **settings: str) -> AsyncIterator[tuple[House, Tab]]:
    """A gateway whose model does what the question says, and a tab with its page.

    ready: the selector of what the tab shows when it is open.
    """
    async with (
        asyncio.timeout(WITHIN_S),
        scripted_model() as url,
        gateway_of(tmp_path, url, **settings) as house,
        browser() as started,
        tab(started, str(house.http.base_url), ready) as opened,
    ):
        yield house, opened


@asynccontextmanager
async def long_reply(tmp_path: Path, **settings: str) -> AsyncIterator[tuple[ModelServer, Tab]]:
    """A tab with a reply that has begun with "Once " and goes on when the test says so."""
    async with (
        asyncio.timeout(WITHIN_S),
        model_server() as model,
        gateway_of(tmp_path, model.url, **settings) as house,
        browser() as started,
        tab(started, str(house.http.base_url)) as opened,
    ):
        model.open_with("Once ")
        await opened.write("Once")
        await opened.page.wait_for_selector(".message.reply .markdown")
        await opened.named()
        yield model, opened


async def uploads(house: House) -> list[Any]:
    """Return the uploaded files that no message has: the page deletes those of a message it has sent."""
    return list((await house.http.get("/api/chatbot/attachments")).json())


async def key_of(tmp_path: Path, user: str = "anna") -> str:
    """Make an API key for the gateway whose database is in this folder."""
    url = migrated(tmp_path / "gateway.db")
    async with forked_sluice("keys", "create", "--user", user, cwd=tmp_path, DATABASE_URL=url) as made:
        found = await made.until_said(r"(sk-[\w-]+)")
    assert isinstance(found, re.Match)
    return str(found[1])
