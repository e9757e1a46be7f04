"""The page on paper, in colours of the visitor's own, on a screen without a mouse, and on a narrow one."""

from pathlib import Path

import pytest

from tests.page.browser import browser, requires_chromium, tab
from tests.page.pages import chat_tab

pytestmark = [pytest.mark.live, requires_chromium()]

OPEN_LAST_IN_SIGHT = """() => {
  const {bottom} = document.querySelector(".session-scroller").getBoundingClientRect();
  const isSeen = (row) => row.getBoundingClientRect().bottom <= bottom;
  [...document.querySelectorAll(".session")].findLast(isSeen).querySelector("button").click();
}"""
SHARE_OF_TEXT = """() => document.querySelector(".scroller").clientHeight / innerHeight"""
BELOW = """(menu) => {
  const ends = [menu, menu.closest(".session-scroller")].map((one) => one.getBoundingClientRect().bottom);
  return ends[0] - ends[1];
}"""
FROM_TOP = "(at) => at.getBoundingClientRect().top - at.closest('.scroller').getBoundingClientRect().top"
FONT_SIZES = "(all) => all.map((field) => parseFloat(getComputedStyle(field).fontSize))"
GROUND = "(element) => getComputedStyle(element).backgroundColor"
OPACITY = "(element) => getComputedStyle(element).opacity"


async def test_a_conversation_is_printed_to_its_end(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.ask("say " + "word\n\n" * 200)
        sheets = await opened.page.pdf()
        assert sheets.count(b"/Type /Page\n") + sheets.count(b"/Type /Page ") > 3
        await opened.page.emulate_media(media="print")
        assert not await opened.page.is_visible("aside")
        assert await opened.page.is_visible(".bubble")


async def test_states_can_be_told_apart_in_forced_colours(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        page = opened.page
        await page.emulate_media(forced_colors="active")
        await page.wait_for_selector(".status .dot.on")
        grounds = [
            await page.locator(selector).evaluate(GROUND)
            for selector in (".segments [aria-pressed=true]", ".segments [aria-pressed=false] >> nth=0")
        ]
        assert grounds[0] != grounds[1]
        assert await page.locator(".status .dot").evaluate(GROUND) != await page.locator("body").evaluate(
            GROUND
        )


async def test_without_a_mouse_the_menu_of_each_session_is_seen(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened), browser() as started:
        await opened.ask("say one")
        async with tab(started, str(house.http.base_url), is_mobile=True, has_touch=True) as phone:
            await phone.page.wait_for_selector(".session", state="attached")
            assert await phone.page.locator(".session > button").evaluate(OPACITY) == "1"


async def test_the_menu_of_the_last_session_in_sight_is_in_sight(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        page = opened.page
        for number in range(40):
            await house.http.post("/api/chatbot/sessions", json={"title": f"Session {number}"})
        await page.reload()
        await page.locator(".session").last.wait_for(state="attached")
        await page.wait_for_selector(".mode-switch")  # takes room from the sessions
        await page.evaluate(OPEN_LAST_IN_SIGHT)
        await page.wait_for_selector(".menu")
        assert await page.locator(".menu").evaluate(BELOW) <= 1


async def test_nothing_makes_a_conversation_wider_than_a_narrow_screen(tmp_path: Path) -> None:
    wide = [
        f"${'x+' * 90}x$",
        "W" * 300,
        f"| {'a' * 90} | {'b' * 90} |\n|---|---|\n",
        f"```\n{'x' * 300}\n```",
    ]
    async with chat_tab(tmp_path) as (_, opened):
        await opened.page.set_viewport_size({"width": 360, "height": 640})
        await opened.ask("say " + "\n\n".join(wide))
        await opened.page.wait_for_selector(".maths.drawn math")
        assert await opened.page.locator(".scroller").evaluate("(at) => at.scrollWidth - at.clientWidth") == 0


async def test_on_a_phone_the_keyboard_covers_no_field_and_safari_magnifies_none(tmp_path: Path) -> None:
    async with (
        chat_tab(tmp_path) as (house, _),
        browser() as started,
        tab(started, str(house.http.base_url), is_mobile=True, has_touch=True) as phone,
    ):
        await phone.page.click("button:has-text('Settings')")
        viewport = await phone.page.locator("meta[name=viewport]").get_attribute("content")
        assert "interactive-widget=resizes-content" in str(viewport)  # else the keyboard covers the composer
        sizes = await phone.page.locator("input, select, textarea").evaluate_all(FONT_SIZES)
        assert len(sizes) > 7
        assert min(sizes) >= 16


@pytest.mark.parametrize("chosen", [".wide-button", ".brand", ".session.current a", ".scrim"])
async def test_on_a_narrow_screen_the_list_closes_when_the_present_chat_is_chosen(
    tmp_path: Path, chosen: str
) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        page = opened.page
        if "session" in chosen:
            await opened.ask("say one")
        await page.set_viewport_size({"width": 390, "height": 800})
        await page.click("button[aria-label=Sessions]")
        await page.click(chosen, position={"x": 380, "y": 400} if chosen == ".scrim" else None)
        await page.locator(".studio > aside").wait_for(state="hidden")


async def test_on_a_low_screen_the_welcome_can_be_scrolled_to_its_beginning(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        page = opened.page
        await page.set_viewport_size({"width": 640, "height": 320})
        await page.locator(".scroller").evaluate("(at) => at.scrollTo({top: 0, behavior: 'instant'})")
        assert await page.locator(".welcome h1").evaluate(FROM_TOP) >= 0


async def test_at_400_percent_there_is_room_to_read_and_the_sessions_can_be_reached(tmp_path: Path) -> None:
    """1280 by 1024 pixels are 320 by 256 then: WCAG 2.2, 1.4.10."""
    async with chat_tab(tmp_path) as (_, opened):
        page = opened.page
        await opened.ask("say one")
        await page.wait_for_selector(".mode-switch", state="attached")
        await page.set_viewport_size({"width": 320, "height": 256})
        assert await page.evaluate(SHARE_OF_TEXT) > 0.5
        await page.click("button[aria-label=Sessions]")
        await page.click(".session a")
        await page.locator(".studio > aside").wait_for(state="hidden")


PLACEHOLDERS = """() => {
  const soft = getComputedStyle(document.querySelector(".search")).color;
  const fields = [...document.querySelectorAll("[placeholder]")];
  const others = fields.filter((at) => getComputedStyle(at, "::placeholder").color !== soft);
  return others.map((at) => at.outerHTML);
}"""


async def test_what_stands_in_an_empty_field_has_the_contrast_of_notes(tmp_path: Path) -> None:
    """The browser's own grey has 3.6 to 1 in dark colours."""
    async with chat_tab(tmp_path) as (_, opened):
        await opened.page.click("text=Settings")
        await opened.page.wait_for_selector(".settings input[placeholder]")
        assert await opened.page.evaluate(PLACEHOLDERS) == []
