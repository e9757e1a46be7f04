"""Attached files are shown as what they are, whatever their names and senders say."""

from pathlib import Path

import pytest
from playwright.async_api import FilePayload

from tests.page.browser import requires_chromium
from tests.page.pages import chat_tab

pytestmark = [pytest.mark.live, requires_chromium()]


async def test_a_text_that_is_chosen_as_an_image_is_shown_as_a_file(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        page = opened.page
        file: FilePayload = {"name": "photo.png", "mimeType": "image/png", "buffer": b"only text"}
        await page.set_input_files("input[type=file]", [file])
        await page.wait_for_selector(".composer .chip[aria-busy=false]")
        assert await page.locator(".composer .chip img").count() == 0
        await opened.ask("say hello")
        assert await opened.shown(".question .chip") == ["photo.png"]
        assert await page.locator(".question img").count() == 0


async def test_a_file_name_cannot_turn_its_extension(tmp_path: Path) -> None:
    name = "photo\u202egpj.\u2066sh"
    async with chat_tab(tmp_path) as (_, opened):
        page = opened.page
        file: FilePayload = {"name": name, "mimeType": "text/plain", "buffer": b"only text"}
        await page.set_input_files("input[type=file]", [file, file | {"buffer": b"\x00\xff"}])
        await page.wait_for_selector("[role=alert] >> text=photo[U+202E]gpj.[U+2066]sh: ")
        await page.wait_for_selector(".composer .chip[aria-busy=false]")
        assert await opened.shown(".composer .chip") == ["photo[U+202E]gpj.[U+2066]sh"]
        await page.wait_for_selector("[aria-label='Remove photo[U+202E]gpj.[U+2066]sh']")
        await opened.ask("say hello")
        assert await opened.shown(".question .chip") == ["photo[U+202E]gpj.[U+2066]sh"]
        await page.reload()
        await page.wait_for_selector(".question .chip")
        assert await opened.shown(".question .chip") == ["photo[U+202E]gpj.[U+2066]sh"]
