"""The chat of the page when the visitor leaves a session and comes back, and when requests fail meanwhile."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from playwright.async_api import Route

from tests.live.house import gateway_of
from tests.live.model_server import model_server
from tests.page.browser import WRITES, Tab, browser, requires_chromium, tab
from tests.page.pages import WITHIN_S, chat_tab, key_of, long_reply
from tests.page.station import station

pytestmark = [pytest.mark.live, requires_chromium()]

REGENERATES = re.compile("/regenerate$")
SLOWER = json.dumps(
    {"title": "Too Many Requests", "status": 429, "detail": "Slower, please.", "code": "slow"}
)

# An observer hears of the menu before the browser paints it.
ESCAPE_WHEN_MENU_OPENS = """() => {
    const observer = new MutationObserver(() => {
        if (!document.querySelector(".menu")) return;
        observer.disconnect();
        const options = { key: "Escape", bubbles: true, cancelable: true };
        document.body.dispatchEvent(new KeyboardEvent("keydown", options));
        document.body.dataset.pressed = "";
    });
    observer.observe(document.body, { childList: true, subtree: true });
}"""


async def refuse(route: Route) -> None:
    await route.fulfill(status=429, content_type="application/problem+json", body=SLOWER)


async def test_a_session_that_has_just_begun_is_there_after_a_look_at_another_one(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.ask("say one")
        await opened.new_chat()
        await opened.ask("say two")
        await opened.page.click(".session a[title='say one']")
        await opened.page.wait_for_selector(".bubble >> text=say one")
        await opened.page.click(".session a[title='say two']")
        await opened.page.wait_for_selector(".bubble >> text=say two")
        await opened.page.go_back()
        await opened.page.wait_for_selector(".bubble >> text=say one")


async def test_a_new_session_is_listed_before_its_events_come(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(WITHIN_S),
        model_server() as model,
        gateway_of(tmp_path, model.url) as house,
        browser() as started,
        tab(started, str(house.http.base_url)) as opened,
    ):
        await opened.page.route(re.compile(r"/events(\?|$)"), lambda route: route.abort())
        model.open_with("Once ")
        await opened.write("Once")
        await opened.page.wait_for_selector(".session .dot.busy")


async def test_what_is_typed_in_a_session_that_has_just_begun_survives_a_reload(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.ask("say one")
        await opened.named()
        await opened.page.fill(WRITES, "and then")
        await opened.page.reload()
        await opened.composes("and then")
        await opened.new_chat()
        await opened.composes("")


async def test_a_refused_question_stays_when_another_tab_asks(tmp_path: Path) -> None:
    async with chat_tab(tmp_path, MAX_CONTENT_CHARS="10") as (_, opened):
        await opened.ask("say one")
        other = Tab(await opened.page.context.new_page())
        await other.page.goto(opened.page.url)
        await other.ended()
        await opened.write("say something much longer")
        await opened.page.wait_for_selector("text=Take back")
        await other.ask("say two")
        await opened.page.wait_for_selector(".reply .markdown >> text=About two")
        await opened.page.click("text=Take back")
        await opened.composes("say something much longer")


async def test_a_reply_stays_when_another_one_is_refused(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.ask("say one")
        await opened.page.route(REGENERATES, refuse, times=1)
        await opened.page.click("button[aria-label='Another reply']")
        await opened.page.wait_for_selector("[role=alert] >> text=Slower, please.")
        assert (await opened.shown())[0].startswith("About one")
        await opened.page.click("button[aria-label='Another reply']")
        await opened.page.wait_for_selector(".reply .branches >> text=2/2")


async def test_a_refusal_stays_when_messages_come_that_were_asked_for_before_it(tmp_path: Path) -> None:
    loading, refused = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        stored = await route.fetch()
        loading.set()
        await refused.wait()
        await route.fulfill(response=stored, body=(await stored.text()).replace("About one", "Stored: one"))

    async with asyncio.timeout(WITHIN_S), chat_tab(tmp_path) as (_, opened):
        await opened.page.route(REGENERATES, refuse)  # without a route left, Chromium would go on with all
        await opened.page.route(re.compile(r"/messages\?"), hold, times=1)
        await opened.ask("say one")
        await loading.wait()
        await opened.page.click("button[aria-label='Another reply']")
        await opened.page.wait_for_selector("[role=alert] >> text=Slower, please.")
        refused.set()
        await opened.page.wait_for_selector(".reply >> text=Stored: one")
        assert await opened.page.is_visible("[role=alert] >> text=Slower, please.")


async def test_a_refused_edit_can_be_taken_back_and_the_old_question_is_there_again(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.ask("say one")
        await opened.page.route(REGENERATES, refuse, times=1)
        await opened.page.hover(".question")
        await opened.page.click(".question button[aria-label=Edit]")
        await opened.page.fill(".question textarea", "say two")
        await opened.page.press(".question textarea", "Enter")
        await opened.page.click("text=Take back")
        await opened.composes("say two")
        assert await opened.shown(".question .bubble") == ["say one"]
        assert (await opened.shown())[0].startswith("About one")


async def test_escape_closes_what_is_open_and_stops_no_reply(tmp_path: Path) -> None:
    async with long_reply(tmp_path) as (model, opened):
        page = opened.page
        await page.wait_for_selector(".session a[title=Once]")
        await page.hover(".session")
        await page.click(".session button")
        await page.click("text=Rename")
        await page.fill(".rename", "Twice")
        await page.press(".rename", "Escape")
        await page.wait_for_selector(".rename", state="detached")
        await page.locator(".message.reply").click()
        await page.keyboard.press("?")
        await page.wait_for_selector("dialog[open]")
        await page.keyboard.press("Escape")
        await page.wait_for_selector("dialog", state="detached")
        await page.click(".session button")
        await page.wait_for_selector(".menu")
        await page.keyboard.press("Escape")
        await page.wait_for_selector(".menu", state="detached")
        await page.click(".session button")
        await page.wait_for_selector(".menu")
        await page.click(".bubble")
        await page.wait_for_selector(".menu", state="detached")
        await page.press("input[type=search]", "Escape")
        model.say("the end.")
        model.end()
        await opened.ended()
        assert await opened.shown() == ["Once the end."]
        assert await page.locator(".session a").get_attribute("title") == "Once"


async def test_escape_closes_a_menu_that_is_not_painted_yet(tmp_path: Path) -> None:
    async with long_reply(tmp_path) as (model, opened):
        await opened.page.wait_for_selector(".session a[title=Once]")
        await opened.page.evaluate(ESCAPE_WHEN_MENU_OPENS)
        await opened.page.hover(".session")
        await opened.page.click(".session button")
        await opened.page.wait_for_selector("body[data-pressed]")
        await opened.page.wait_for_selector(".menu", state="detached")
        model.say("the end.")
        model.end()
        await opened.ended()
        assert await opened.shown() == ["Once the end."]


async def test_a_session_that_could_not_be_loaded_gets_the_next_question(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        await opened.ask("say one")
        await opened.named()
        loads = re.compile(r"/api/chatbot/sessions/[^/?]+$")
        await opened.page.route(loads, lambda route: route.abort(), times=1)
        await opened.page.reload()
        await opened.page.wait_for_selector("[role=alert] >> text=did not answer")
        await opened.ask("say two")
        await opened.page.wait_for_selector(".bubble >> text=say one")
        assert len((await house.http.get("/api/chatbot/sessions")).json()) == 1


async def test_a_room_that_could_not_be_loaded_is_loaded_again(tmp_path: Path) -> None:
    async with station(tmp_path) as at:
        room = await at.room()
        async with tab(at.started, at.url) as opened:
            loads = re.compile(f"/api/chatbot/rooms/{room['uuid']}$")
            await opened.page.route(loads, lambda route: route.abort(), times=1)
            await opened.page.goto(f"{at.url}/#/chat/{room['uuid']}")
            await opened.page.wait_for_selector("[role=alert] >> text=did not answer")
            await opened.page.wait_for_selector("[role=alert]", state="detached")
            await opened.page.wait_for_selector("text=1 here")


async def test_what_is_said_before_a_room_is_open_is_said_when_it_is(tmp_path: Path) -> None:
    async with station(tmp_path) as at:
        room = await at.room()
        async with at.window(room, "Anna"), tab(at.started, at.url) as opened:
            written = asyncio.Event()

            async def hold(route: Route) -> None:
                await written.wait()
                await route.continue_()

            await opened.page.route(re.compile(f"/api/chatbot/rooms/{room['uuid']}$"), hold)
            await opened.page.goto(f"{at.url}/#/chat/{room['uuid']}")
            await opened.page.wait_for_selector(".room-head")
            await opened.write("Good evening.")
            await opened.page.locator(".question").filter(has_text="Good evening.").wait_for()
            written.set()
            await opened.page.wait_for_selector("text=2 here")
            await opened.page.wait_for_selector("text=Sending", state="detached")
            # Two are there: the model is not asked.
            assert await opened.page.locator(".failure, .reply").count() == 0


async def test_the_next_visitor_does_not_see_what_was_being_written(tmp_path: Path) -> None:
    keys = [await key_of(tmp_path, user) for user in ("anna", "ben")]
    async with chat_tab(tmp_path, ready="input[type=password]") as (_, opened):
        page = opened.page
        await page.fill("input[type=password]", keys[0])
        await page.click("text=Enter")
        await page.wait_for_selector(WRITES)
        await opened.write("hold secrets")
        await page.wait_for_selector(".message.reply .markdown")
        await opened.named()
        await page.wait_for_selector(".session a[title='hold secrets']")
        assert await page.title() == "hold secrets · Sluice"
        await page.click("text=Log out")
        await page.fill("input[type=password]", keys[1])
        assert await page.title() == "Sluice"
        await page.click("text=Enter")
        await page.wait_for_selector("[role=alert]")
        assert await page.locator(".message").count() == 0


WITHOUT_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', {value: undefined})"


async def test_text_is_copied_where_the_browser_has_no_clipboard_for_pages(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, _), browser() as started:
        url = str(house.http.base_url)
        async with tab(started, url, script=WITHOUT_CLIPBOARD) as opened:
            await opened.ask("say one")
            await opened.page.hover(".question")
            await opened.page.click(".question button[aria-label=Copy]")
            await opened.page.wait_for_selector(".question button[aria-label=Copied]")
            await opened.page.focus(WRITES)
            await opened.page.keyboard.press("Control+V")
            await opened.composes("say one")
            assert opened.complaints == []
