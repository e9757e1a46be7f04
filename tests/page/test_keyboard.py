"""The page by keyboard alone, and by the keys of a phone's screen."""

from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.page.browser import WRITES, Tab, browser, requires_chromium, tab
from tests.page.pages import chat_tab
from tests.page.test_composer import NOTES

pytestmark = [pytest.mark.live, requires_chromium()]

PAINTED = "new Promise((seen) => requestAnimationFrame(() => setTimeout(seen)))"
"""Keys are heard after the first picture."""


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


async def has_focus(opened: Tab, selector: str) -> None:
    await opened.page.locator(selector).and_(opened.page.locator(":focus")).wait_for()


async def test_the_focus_goes_on_when_what_had_it_is_gone(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        page = opened.page
        await press(page, ".example >> nth=0")
        await has_focus(opened, WRITES)
        await opened.ended()
        await opened.new_chat()
        await opened.write("hold rivers")
        await press(page, "[aria-label=Stop]")
        await has_focus(opened, WRITES)
        await opened.ended()
        for leave in ("Escape", "Tab Enter"):
            await press(page, ".question [aria-label=Edit]")
            await page.wait_for_selector(".question textarea:focus")
            for key in leave.split():
                await page.keyboard.press(key)
            await has_focus(opened, ".question [aria-label=Edit]")
        await press(page, ".question [aria-label=Edit]")
        await retype(page, ".question textarea", "say one")
        await has_focus(opened, WRITES)
        await opened.ended()
        for pressed, gets in (("The one before", "The next one"), ("The next one", "The one before")):
            await press(page, f".question [aria-label='{pressed}']")
            await has_focus(opened, f".question [aria-label='{gets}']")
        await press(page, "[aria-label='Another reply']")
        await has_focus(opened, WRITES)
        await opened.ended()
        await page.set_input_files("input[type=file]", [NOTES])
        await page.wait_for_selector(".chip[aria-busy=false]")
        await press(page, "[aria-label='Remove notes.txt']")
        await has_focus(opened, WRITES)


async def test_the_focus_stays_in_the_list_of_sessions(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        page = opened.page
        for title in ("First", "Second"):
            await house.http.post("/api/chatbot/sessions", json={"title": title})
        await page.reload()
        await press(page, "[aria-label='More for First']")
        await press(page, "text=Rename")
        await retype(page, ".rename", "Third")
        await has_focus(opened, "[aria-label='More for Third']")
        await page.keyboard.press("Enter")
        await press(page, "text=Save as JSON")
        await has_focus(opened, "[aria-label='More for Third']")
        await page.keyboard.press("Enter")
        await press(page, ".menu .danger")
        await page.keyboard.press("Enter")
        await has_focus(opened, ".session a[title=Second]")


async def test_a_question_that_is_answered_no_gives_the_focus_back(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.page.click("text=Control room")
        await press(opened.page, ".control .segments [aria-pressed=false] >> nth=0")
        await has_focus(opened, "dialog button")
        await opened.page.keyboard.press("Escape")
        await has_focus(opened, ".control .segments [aria-pressed=false] >> nth=0")


async def test_an_edit_waits_for_another_tabs_reply_and_stays_when_that_shows_another_branch(
    tmp_path: Path,
) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        page = opened.page
        await opened.ask("say one")
        await opened.named()
        await press(page, ".question [aria-label=Edit]")
        await page.fill(".question textarea", "say two")
        other = Tab(await page.context.new_page())
        await other.page.goto(page.url)
        await other.ended()
        await other.write("hold rivers")
        await page.locator(".waits").wait_for()
        await page.press(".question textarea", "Enter")
        await other.page.keyboard.press("Escape")
        await page.locator(".waits").wait_for(state="hidden")
        await page.press(".question textarea", "Enter")
        await page.wait_for_selector(".question .branches >> text=2/2")
        await opened.ended()
        await press(page, ".question [aria-label=Edit]")
        await page.fill(".question textarea", "say three")
        await press(other.page, ".question [aria-label='The one before']")
        for one in (page, other.page):
            await one.wait_for_selector(".question .branches >> text=1/2")
        await press(other.page, ".question [aria-label='The next one']")
        await page.wait_for_selector(".question textarea:focus")
        assert await page.input_value(".question textarea") == "say three"


async def test_on_a_phone_enter_is_a_new_line_and_its_keys_come_when_they_are_wanted(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened), browser() as started:
        await opened.ask("say one")
        async with tab(started, str(house.http.base_url), is_mobile=True, has_touch=True) as phone:
            page = phone.page
            assert await page.locator(f"{WRITES}:focus").count() == 0
            await page.fill(WRITES, "say two")
            await page.press(WRITES, "Enter")
            await page.keyboard.type("three")
            await phone.composes("say two\nthree")
            await page.press(WRITES, "Control+Enter")
            await phone.ended()
            assert await phone.shown(".bubble") == ["say two\nthree"]


async def test_on_a_narrow_screen_the_list_takes_the_focus_and_escape_gives_it_back(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        page = opened.page
        await page.set_viewport_size({"width": 390, "height": 800})
        await page.focus("button[aria-label=Sessions]")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("[aria-label='Close the list']:focus")
        await page.keyboard.press("Escape")
        await page.locator(".studio > aside").wait_for(state="hidden")
        await page.wait_for_selector("button[aria-label=Sessions]:focus")


async def test_keys_of_one_character_can_be_switched_off(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        page = opened.page
        for switch in (page.uncheck, page.check):
            await page.focus(WRITES)
            await page.keyboard.press("Control+/")
            await switch("dialog input")
            await page.keyboard.press("Escape")
            await page.wait_for_selector("dialog", state="detached")
            await page.reload()
            await page.focus(".brand")
            await page.evaluate(PAINTED)
            await page.keyboard.press("/")
            focused = await page.evaluate("document.activeElement.localName")
            assert focused == ("a" if switch == page.uncheck else "textarea")
            await page.focus(".brand")
            await page.keyboard.press("?")
            if switch == page.uncheck:
                await page.keyboard.press("Control+/")  # would close the list that `?` opens
            await page.wait_for_selector("dialog[open]")
            await page.keyboard.press("Escape")
            await page.wait_for_selector("dialog", state="detached")
