"""A Chromium for tests of the page."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.live.addresses import keep_addresses
from tests.live.looking import look_again

PATIENCE_MS = 60_000
WRITES = ".composer textarea"


CHROMIUM = ("chromium-headless-shell", "chromium", "chromium-browser")
"""The first one is Chromium without a window's parts, which takes two thirds of the CPU."""


def chromium() -> str | None:
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


def requires_chromium() -> pytest.MarkDecorator:
    """Mark a live test: skipped if Chromium is not installed, failed if REQUIRE_LIVE=1."""
    missing = chromium() is None and os.environ.get("REQUIRE_LIVE") != "1"
    return pytest.mark.skipif(missing, reason="needs Chromium: apt-get install chromium")


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Yield the shared Chromium in a block of shared_browser(), else one of its own."""
    with await asyncio.to_thread(keep_addresses):
        if _shared:
            yield _shared[-1]
            return
        async with _launched() as started:
            yield started


@asynccontextmanager
async def _launched() -> AsyncIterator[Browser]:
    options = ["--disable-dev-shm-usage", "--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=chromium(), args=options, timeout=2 * PATIENCE_MS
        )
        try:
            yield started
        finally:
            await started.close()


_shared: list[Browser] = []


@asynccontextmanager
async def shared_browser() -> AsyncIterator[None]:
    """Start a Chromium for all calls of browser() in this block. Each tab has a profile of its own."""
    async with _launched() as started:
        _shared.append(started)
        try:
            yield
        finally:
            _shared.clear()


class Tab:
    """A tab with the page, and what it complained about.

    complaints: errors and warnings of its console, and exceptions.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        page.on("console", self._hear)

    @contextmanager
    def telling_its_complaints(self) -> Iterator[None]:
        """Add them to the report of a failure."""
        try:
            yield
        except BaseException as failure:
            failure.add_note(f"the tab at {self.page.url} complained: {self.complaints}")
            raise

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    async def write(self, text: str) -> None:
        """Write a message and send it."""
        await self.page.fill(WRITES, text)
        await self.page.press(WRITES, "Enter")

    async def composes(self, text: str) -> None:
        """Wait until the composer holds this text."""
        while await self.page.input_value(WRITES) != text:
            await look_again()

    async def named(self) -> None:
        """Wait until the session has its name. The policy for scripts forbids wait_for_function."""
        await self.page.wait_for_url(re.compile("#/chat/"))

    async def new_chat(self) -> None:
        await self.page.click("button:has-text('New chat')")
        await self.page.wait_for_selector(".welcome")

    async def ask(self, text: str) -> None:
        """Send a message and wait for the end of its reply."""
        await self.write(text)
        await self.page.locator(".message.question").filter(has_text=text.split("\n")[0]).last.wait_for()
        await self.ended()

    async def ended(self) -> None:
        """Wait until no reply is being written and the last message is a reply."""
        await self.page.wait_for_selector(".message.reply:last-child[aria-busy=false]")
        await self.page.wait_for_selector(".message[aria-busy=true]", state="detached")

    async def shown(self, selector: str = ".message.reply .markdown") -> list[str]:
        """Return the texts of the elements, as they are shown."""
        return [text.strip() for text in await self.page.locator(selector).all_inner_texts()]


@asynccontextmanager
async def tab(
    started: Browser, url: str, ready: str = WRITES, *, script: str = "", **options: Any
) -> AsyncIterator[Tab]:
    """Open a page in a profile of its own, and wait until it shows `ready`. script: runs before the page's.

    Without motion: else axe may measure a colour while it changes.
    """
    context = await started.new_context(reduced_motion="reduce", **options)
    try:
        await context.add_init_script(script)
        opened = Tab(await context.new_page())
        with opened.telling_its_complaints():
            await opened.page.goto(url)
            await opened.page.wait_for_selector(ready)
            yield opened
    finally:
        await context.close()
