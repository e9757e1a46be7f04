"""The page by keyboard alone."""

from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.page.browser import WRITES, requires_chromium
from tests.page.pages import chat_tab

pytestmark = [pytest.mark.live, requires_chromium()]


async def press(page: Page, selector: str) -> None:
    await page.focus(selector)
    await page.keyboard.press("Enter")


async def retype(page: Page, field: str, text: str) -> None:
    """Replace the text of a field that has the focus by itself."""
    await page.wait_for_selector(f"{field}:focus")
    await page.keyboard.press("Control+a")
    await page.keyboard.type(text)
    await page.keyboard.press("Enter")


async def test_fields_that_open_have_the_focus_each_time(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        page = opened.page
        await opened.ask("say one")
        await page.wait_for_selector(".session a[title='say one']")
        for title in ("rivers", "lakes"):
            await press(page, ".session > button")
            await press(page, "text=Rename")
            await retype(page, ".rename", title)
            await page.wait_for_selector(f".session a[title={title}]")
        for number, text in enumerate(("say two", "say three"), 2):
            await press(page, ".question [aria-label=Edit]")
            await retype(page, ".question textarea", text)
            await page.wait_for_selector(f".question .branches >> text={number}/{number}")
            await opened.ended()
        assert await opened.shown(".bubble") == ["say three"]
        await press(page, ".question [aria-label=Edit]")
        await page.wait_for_selector(".question textarea:focus")
        await page.fill(WRITES, "say four")
        await press(page, WRITES)
        await page.wait_for_selector(".message:last-child >> text=About four")
        assert await page.locator(f"{WRITES}:focus").count() == 1
