"""The composer and its files: nothing is lost, sent in part, or left behind."""

import asyncio
import re
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import FilePayload, Route

from tests.live.house import until
from tests.live.looking import look_again
from tests.page.browser import WRITES, requires_chromium
from tests.page.pages import chat_tab, key_of, uploads
from tests.page.station import station

pytestmark = [pytest.mark.live, requires_chromium()]

PASTE_CELLS = """(selector) => {
  const cells = new DataTransfer();
  cells.setData("text/plain", "1\\t2");
  cells.setData("text/html", "<table><tr><td>1<td>2</table>");
  cells.items.add(new File(["x"], "image.png", {type: "image/png"}));
  const event = new ClipboardEvent("paste", {bubbles: true, cancelable: true, clipboardData: cells});
  document.querySelector(selector).dispatchEvent(event);
  return event.defaultPrevented;
}"""
NOTES: FilePayload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x"}


async def test_a_question_that_is_taken_back_leaves_what_was_written_meanwhile(tmp_path: Path) -> None:
    async with chat_tab(tmp_path, MAX_CONTENT_CHARS="20") as (_, opened):
        await opened.write("say something much longer")
        await opened.page.fill(WRITES, "say more")
        await opened.page.click("text=Take back")
        await opened.composes("say something much longer\n\nsay more")
        assert await opened.page.evaluate("document.activeElement.localName") == "textarea"


async def test_cells_of_a_spreadsheet_are_pasted_as_text(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        assert not await opened.page.evaluate(PASTE_CELLS, WRITES)  # the browser pastes the text
        assert await opened.page.locator(".composer .chip").count() == 0


async def test_the_direction_of_a_very_long_text_is_not_looked_for_at_each_key(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        page = opened.page
        await page.fill(WRITES, "word")
        assert await page.get_attribute(WRITES, "dir") == "auto"
        await page.fill(WRITES, "word " * 20_000)
        while await page.get_attribute(WRITES, "dir"):
            await look_again()


@pytest.mark.parametrize("leaves", ["by another chat", "by a reload"])
async def test_files_of_a_refused_question_are_deleted_when_nobody_can_take_it_back(
    tmp_path: Path, leaves: str
) -> None:
    async with chat_tab(tmp_path, MAX_CONTENT_CHARS="20") as (house, opened):
        page = opened.page
        await page.set_input_files("input[type=file]", [NOTES])
        await page.wait_for_selector(".chip[aria-busy=false]")
        await opened.write("say something much longer")
        await page.wait_for_selector("text=Take back")
        assert len(await uploads(house)) == 1
        await (page.reload() if "reload" in leaves else page.click("text=New chat"))
        await until(partial(uploads, house), [])


async def test_of_many_files_a_few_are_uploaded_at_the_same_time(tmp_path: Path) -> None:
    """The gateway reads few large bodies of a user at once, and refuses one that waits for long."""
    async with chat_tab(tmp_path) as (house, opened):
        page, begun, most = opened.page, 0, 0

        async def upload(route: Route) -> None:
            nonlocal begun, most
            begun += 1
            most = max(most, begun)
            response = await route.fetch()
            begun -= 1
            await route.fulfill(response=response)

        await page.route(re.compile("/attachments$"), upload)
        await page.set_input_files("input[type=file]", [NOTES] * 12)
        await page.locator(".chip[aria-busy=false]").nth(11).wait_for()
        assert most <= 4
        assert len(await uploads(house)) == 12


async def test_files_that_are_left_unsent_by_a_reload_are_deleted(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        await opened.page.set_input_files("input[type=file]", [NOTES])
        await opened.page.wait_for_selector(".chip[aria-busy=false]")
        assert len(await uploads(house)) == 1
        await opened.page.reload()
        await until(partial(uploads, house), [])


async def test_files_that_are_left_unsent_by_a_log_out_are_deleted(tmp_path: Path) -> None:
    key = await key_of(tmp_path)
    async with chat_tab(tmp_path, "input[type=password]", MAX_CONTENT_CHARS="20") as (house, opened):
        page = opened.page
        house.http.headers["authorization"] = f"Bearer {key}"
        await page.fill("input[type=password]", key)
        await page.press("input[type=password]", "Enter")
        for text in ("say something much longer", "say more"):  # is refused, and is not sent
            await page.set_input_files("input[type=file]", [NOTES])
            await page.wait_for_selector(".chip[aria-busy=false]")
            await page.fill(WRITES, text)
            if "longer" in text:
                await page.press(WRITES, "Enter")
                await page.wait_for_selector("text=Take back")
        assert len(await uploads(house)) == 2
        await page.click("text=Log out")
        await until(partial(uploads, house), [])


async def test_files_of_a_refused_message_in_a_room_are_deleted_too(tmp_path: Path) -> None:
    async with station(tmp_path, MAX_CONTENT_CHARS="20") as at:
        room = await at.room()
        async with at.window(room, "Anna") as anna:
            await anna.page.set_input_files("input[type=file]", [NOTES])
            await anna.page.wait_for_selector(".chip[aria-busy=false]")
            await anna.write("say something much longer")
            await anna.page.wait_for_selector("text=Take back")
            await anna.page.click("text=New chat")
            await until(partial(uploads, at.house), [])


async def test_another_reply_leaves_a_refused_question(tmp_path: Path) -> None:
    async with chat_tab(tmp_path, MAX_CONTENT_CHARS="20") as (_, opened):
        await opened.ask("say one")
        await opened.write("say something much longer")
        await opened.page.wait_for_selector("text=Take back")
        await opened.page.click("[aria-label='Another reply']")
        await opened.page.wait_for_selector(".reply .branches >> text=2/2")
        await opened.page.click("text=Take back")
        await opened.composes("say something much longer")


async def test_a_question_is_edited_once_its_files_are_known_as_the_gateway_has_them(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        page, may_load = opened.page, asyncio.Event()

        async def hold(route: Route) -> None:
            await may_load.wait()
            await route.continue_()

        await page.route(re.compile(r"/messages\?"), hold)
        await page.set_input_files("input[type=file]", [NOTES])
        await page.wait_for_selector(".chip[aria-busy=false]")
        await opened.ask("say one")
        assert await page.is_disabled(".question [aria-label=Edit]")
        may_load.set()
        await page.click(".question [aria-label=Edit]")
        await page.fill(".question textarea", "say two")
        await page.press(".question textarea", "Enter")
        await page.wait_for_selector(".question .branches >> text=2/2")
        assert await opened.shown(".question .chip") == ["notes.txt"]


async def test_a_reply_is_shown_while_its_new_session_is_still_being_looked_up(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        may_load = asyncio.Event()

        async def hold(route: Route) -> None:
            await may_load.wait()
            await route.continue_()

        await opened.page.route(re.compile(r"/sessions/\d+$"), hold)
        await opened.write("hold rivers")
        await opened.page.wait_for_selector(".reply .markdown >> text=About rivers")
        may_load.set()
        await opened.named()
        await opened.page.keyboard.press("Escape")
        await opened.ended()


async def test_each_file_that_is_refused_is_named(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        wrong: list[FilePayload] = [
            {"name": f"{number}.bin", "mimeType": "application/octet-stream", "buffer": b"\0"}
            for number in range(3)
        ]
        await opened.page.set_input_files("input[type=file]", [*wrong, NOTES])
        await opened.page.wait_for_selector(".chip[aria-busy=false]")
        while len(told := (await opened.page.inner_text(".composer .failure")).split("\n")) < len(wrong):
            await look_again()
        assert sorted(line.partition(":")[0] for line in told) == ["0.bin", "1.bin", "2.bin"]
