"""Sessions with many messages, or with large ones."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Route

from tests.live.house import gateway_of
from tests.live.looking import look_again
from tests.live.model_server import model_server
from tests.page.browser import Tab, browser, requires_chromium, tab
from tests.page.pages import chat_tab

pytestmark = [pytest.mark.live, requires_chromium()]

PAIRS = 60
NOTES = """
new MutationObserver(() => {
  const shown = [...document.querySelectorAll(".message")];
  window.firstShown ??= shown.length ? [shown.length, shown.at(-1).textContent] : undefined;
}).observe(document, {subtree: true, childList: true});
window.dates = 0;
const {get} = Object.getOwnPropertyDescriptor(Intl.DateTimeFormat.prototype, "format");
const counted = {get() { dates += 1; return get.call(this); }};
Object.defineProperty(Intl.DateTimeFormat.prototype, "format", counted);
"""
PRINT_AT_FIRST_SIGHT = """
new MutationObserver((_, observer) => {
  if (!document.querySelector(".message")) return;
  observer.disconnect();
  dispatchEvent(new Event("beforeprint"));
  queueMicrotask(() => { window.printed = document.querySelectorAll(".message").length; });
}).observe(document, {subtree: true, childList: true});
"""
COUNT_BLOCKS = """
new MutationObserver((_, observer) => {
  const blocks = document.querySelectorAll(".block p");
  if (!blocks.length) return;
  observer.disconnect();
  window.firstBlocks = [blocks.length, [...blocks].at(-1).textContent];
  PRINT
}).observe(document, {subtree: true, childList: true});
"""
PRINT = """
dispatchEvent(new Event("beforeprint"));
queueMicrotask(() => { window.printed = document.querySelectorAll(".block p").length; });
"""
PARAGRAPHS = 1000
IS_SKIPPED = "(at) => getComputedStyle(at).contentVisibility"
FROM_END = "(at) => at.scrollHeight - at.scrollTop - at.clientHeight"


async def all_shown(opened: Tab, count: int) -> None:
    while await opened.page.locator(".message").count() != count:
        await look_again()


@asynccontextmanager
async def long_session(tmp_path: Path, script: str = NOTES) -> AsyncIterator[Tab]:
    """A tab that shows 60 questions and their replies, and notes what it draws."""
    async with chat_tab(tmp_path) as (house, _), browser() as started:
        asked = {"content": "say 0"}
        for number in range(PAIRS):
            await house.http.post("/messages/stream", json={**asked, "content": f"say {number}"})
            asked["session_id"] = (await house.http.get("/api/chatbot/sessions")).json()[0]["uuid"]
        address = f"{str(house.http.base_url).rstrip('/')}/#/chat/{asked['session_id']}"
        async with tab(started, address, ".message", script=script) as opened:
            yield opened


async def test_the_end_of_a_long_session_is_drawn_first_and_the_rest_before_it(tmp_path: Path) -> None:
    async with long_session(tmp_path) as opened:
        await all_shown(opened, 2 * PAIRS)
        drawn, last = await opened.page.evaluate("firstShown")
        assert drawn < 40
        assert last.startswith(f"About {PAIRS - 1}")
        asked = await opened.page.locator(".bubble").all_text_contents()
        assert asked == [f"say {number}" for number in range(PAIRS)]
        assert await opened.page.locator(".scroller").evaluate(FROM_END) < 2
        await opened.page.emulate_media(media="print")
        assert await opened.page.locator(".message").first.evaluate(IS_SKIPPED) == "visible"


async def test_a_session_that_is_printed_before_all_of_it_is_drawn_is_printed_whole(tmp_path: Path) -> None:
    async with long_session(tmp_path, PRINT_AT_FIRST_SIGHT) as opened:
        assert await opened.page.evaluate("printed") == 2 * PAIRS


@asynccontextmanager
async def large_reply(tmp_path: Path, script: str) -> AsyncIterator[Tab]:
    """A tab that loads a reply of 1000 paragraphs."""
    async with (
        model_server() as model,
        gateway_of(tmp_path, model.url) as house,
        browser() as started,
    ):
        model.open_with("\n\n".join(f"Paragraph {number}" for number in range(PARAGRAPHS)), end=True)
        await house.http.post("/messages/stream", json={"content": "Hi"})
        session = (await house.http.get("/api/chatbot/sessions")).json()[0]["uuid"]
        address = f"{str(house.http.base_url).rstrip('/')}/#/chat/{session}"
        async with tab(started, address, ".message.reply", script=script) as opened:
            yield opened


async def test_the_end_of_a_large_reply_is_drawn_first_and_the_rest_bit_by_bit(tmp_path: Path) -> None:
    async with large_reply(tmp_path, COUNT_BLOCKS.replace("PRINT", "")) as opened:
        await opened.page.locator(f".block p >> nth={PARAGRAPHS - 1}").wait_for(state="attached")
        drawn, last = await opened.page.evaluate("firstBlocks")
        assert drawn <= 200
        assert last == f"Paragraph {PARAGRAPHS - 1}"
        shown = await opened.page.locator(".block p").all_text_contents()
        assert shown == [f"Paragraph {number}" for number in range(PARAGRAPHS)]


async def test_a_large_reply_that_is_printed_before_all_of_it_is_drawn_is_printed_whole(
    tmp_path: Path,
) -> None:
    async with large_reply(tmp_path, COUNT_BLOCKS.replace("PRINT", PRINT)) as opened:
        assert await opened.page.evaluate("printed") == PARAGRAPHS


async def test_a_reply_draws_no_earlier_message_again(tmp_path: Path) -> None:
    async with long_session(tmp_path) as opened:
        await all_shown(opened, 2 * PAIRS)
        await opened.page.evaluate("dates = 0")
        async with opened.page.expect_response(re.compile(r"/messages\?.*after=")):
            await opened.ask("say more")
        await opened.page.click("button:has-text('Settings')")
        await opened.page.fill(".settings textarea", "Be brief.")
        await opened.ask("say still more")
        assert await opened.page.evaluate("dates") < PAIRS


async def test_at_the_end_of_a_reply_only_what_has_changed_is_loaded(tmp_path: Path) -> None:
    async with long_session(tmp_path) as opened:
        await all_shown(opened, 2 * PAIRS)
        loads: list[int] = []

        async def note(route: Route) -> None:
            loads.append(int((re.findall(r"after=(\d+)", route.request.url) or ["0"])[0]))
            await route.continue_()

        await opened.page.route(re.compile(r"/messages\?"), note)
        async with opened.page.expect_response(re.compile(rf"/messages\?.*after={2 * PAIRS + 2}")):
            await opened.ask("say more")
        await opened.page.click(".reply:last-child [aria-label='Another reply']")
        await opened.page.wait_for_selector(".reply:last-child .branches >> text=2/2")
        await opened.ended()
        assert min(loads) >= 2 * PAIRS - 1
        assert (await opened.shown())[-1].startswith("About more")


async def test_another_branch_that_somebody_begins_far_above_is_shown(tmp_path: Path) -> None:
    async with long_session(tmp_path) as opened:
        await all_shown(opened, 2 * PAIRS)
        address = opened.page.url.split("/#")[0]
        asked = {"content": "say other"}
        await opened.page.request.post(f"{address}/api/chatbot/messages/1/regenerate", data=asked)
        await opened.page.wait_for_selector(".reply .markdown >> text=About other")
        assert await opened.shown(".question .bubble") == ["say other"]
        await opened.page.request.post(f"{address}/api/chatbot/messages/1/choose")
        await all_shown(opened, 2 * PAIRS)
        await opened.page.wait_for_selector(".branches >> text=1/2")


async def test_a_session_whose_messages_come_in_small_pages_is_shown_to_its_end(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):

        async def two_each(route: Route) -> None:
            """As if they were large: a page has fewer than one asks for."""
            await route.continue_(url=re.sub(r"limit=\d+", "limit=2", route.request.url))

        await opened.page.route(re.compile(r"/messages\?"), two_each)
        for text in ("say one", "say two", "say three"):
            await opened.ask(text)
        await opened.page.reload()
        await all_shown(opened, 6)
        assert (await opened.shown())[-1].startswith("About three")


async def test_all_templates_and_sessions_stay_in_their_lists(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        page, http = opened.page, house.http
        for number in range(3):
            await http.post("/api/chatbot/templates", json={"name": f"Template {number}"})
        for number in range(205):
            await http.post("/api/chatbot/sessions", json={"title": f"Session {number}"})

        async def fewer(route: Route) -> None:
            await route.continue_(url=route.request.url.replace("limit=200&", "limit=2&"))

        await page.route(re.compile(r"/templates\?"), fewer)
        await page.click("button:has-text('Settings')")
        await page.wait_for_selector("option >> text=Template 2", state="attached")
        await opened.ask("say one")
        for count in (120, 180, 206):
            await page.locator(".session a").last.scroll_into_view_if_needed()
            while await page.locator(".session").count() < count:
                await look_again()
        await http.post("/api/chatbot/sessions", json={"title": "The latest"})
        await opened.ask("say two")
        await page.wait_for_selector(".session a[title='The latest']", state="attached")
        assert await page.locator(".session").count() == 206  # as many as were shown


async def test_a_screen_reader_is_told_how_a_reply_ended_and_why_a_button_does_nothing(
    tmp_path: Path,
) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        news = opened.page.locator(".conversation > [role=status]")
        await opened.ask("say one")
        assert await news.text_content() == "The reply is complete."
        await opened.write("hold two")
        await opened.page.wait_for_selector(".message[aria-busy=true] .markdown")
        assert await news.text_content() == ""
        await opened.page.focus("[aria-label='Another reply']")
        await opened.page.keyboard.press("Enter")
        await news.filter(has_text="Wait until the reply is complete").wait_for(state="attached")
        await opened.page.keyboard.press("Escape")
        await opened.ended()
        assert await news.text_content() == "The reply was stopped."
        assert len(await house.messages()) == 2


async def test_what_was_drawn_before_is_not_kept(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        for number in range(8):
            await opened.ask(f"say {number}")
        inspector = await opened.page.context.new_cdp_session(opened.page)
        made = await inspector.send("Runtime.evaluate", {"expression": "Object.prototype"})
        kept = await inspector.send("Runtime.queryObjects", {"prototypeObjectId": made["result"]["objectId"]})
        views = "(one) => Object.hasOwn(one, '__k') && one.props?.message"
        counted = await inspector.send(
            "Runtime.callFunctionOn",
            {
                "objectId": kept["objects"]["objectId"],
                "functionDeclaration": f"function () {{ return this.filter({views}).length; }}",
                "returnByValue": True,
            },
        )
        assert counted["result"]["value"] < 300  # of 16 messages; four times as many when each draw is kept
