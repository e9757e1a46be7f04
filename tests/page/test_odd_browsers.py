"""The page in browsers that keep nothing, keep a page that was left, hide it, or have an input method."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Route

from tests.live.house import House, until
from tests.live.looking import look_again
from tests.page.browser import WRITES, Tab, browser, requires_chromium, tab
from tests.page.pages import chat_tab, key_of, long_reply

pytestmark = [pytest.mark.live, requires_chromium()]

BLOCKED = """
const blocked = {get: () => { throw new DOMException("No.", "SecurityError"); }};
Object.defineProperties(window, {localStorage: blocked, sessionStorage: blocked});
"""
FULL = "Storage.prototype.setItem = () => { throw new DOMException('Full.', 'QuotaExceededError'); };"
HIDEABLE = """
let seen = true;
Object.defineProperty(Document.prototype, "visibilityState", {get: () => seen ? "visible" : "hidden"});
window.see = (now) => { seen = now; document.dispatchEvent(new Event("visibilitychange")); };
"""
LEAVES = "dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))"
RETURNS = "dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
COMPOSES = """(field, key) => field.dispatchEvent(
    new KeyboardEvent("keydown", {key, keyCode: 229, bubbles: true, cancelable: true}))"""
NONSENSE = "localStorage.setItem('sluice-settings', 'null')"


@asynccontextmanager
async def scripted_tab(tmp_path: Path, script: str) -> AsyncIterator[tuple[House, Tab]]:
    """A tab whose browser is changed by a script."""
    async with (
        chat_tab(tmp_path) as (house, _),
        browser() as started,
        tab(started, str(house.http.base_url), script=script) as opened,
    ):
        yield house, opened


@pytest.mark.parametrize("script", [BLOCKED, FULL, NONSENSE], ids=["blocked", "full", "nonsense"])
async def test_a_browser_that_keeps_nothing_or_nonsense_shows_the_page_and_its_settings_count(
    tmp_path: Path, script: str
) -> None:
    async with scripted_tab(tmp_path, script) as (_, opened):
        await opened.page.click("button:has-text('Settings')")
        await opened.page.fill(".settings textarea", "Be brief.")
        await opened.ask("say one")
        await opened.composes("")
        assert await opened.page.input_value(".settings textarea") == "Be brief."
        assert opened.complaints == []


async def test_a_page_that_the_browser_kept_is_present_again(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.ask("say one")
        await opened.named()
        other = await opened.page.context.new_page()
        await other.goto(opened.page.url)
        await other.wait_for_selector("text=Open in another tab")
        await opened.page.evaluate(LEAVES)
        await other.wait_for_selector(".presence", state="detached")
        await opened.page.evaluate(RETURNS)
        await other.wait_for_selector("text=Open in another tab")
        await opened.page.wait_for_selector("text=Open in another tab")
        await opened.page.fill(WRITES, "say two")
        await other.wait_for_selector("text=Another tab is typing")
        await opened.page.press(WRITES, "Enter")
        await opened.composes("")
        assert opened.complaints == []


async def test_a_hidden_tab_holds_no_connection_and_catches_up(tmp_path: Path) -> None:
    async with scripted_tab(tmp_path, HIDEABLE) as (house, opened):
        await opened.ask("say one")
        await opened.named()
        await until(house.streams, 1)
        await opened.page.evaluate("see(false)")
        await until(house.streams, 0)
        session = (await house.http.get("/api/chatbot/sessions")).json()[0]["uuid"]
        await house.http.post("/messages/stream", json={"content": "say two", "session_id": session})
        assert await opened.page.locator(".bubble").count() == 1
        await opened.page.evaluate("see(true)")
        await opened.page.wait_for_selector(".bubble >> text=say two")
        await until(house.streams, 1)


async def test_a_session_that_gets_its_name_while_the_tab_is_hidden_for_a_moment_is_followed(
    tmp_path: Path,
) -> None:
    async with scripted_tab(tmp_path, HIDEABLE) as (house, opened):
        await opened.page.fill(WRITES, "say one")
        await opened.page.evaluate("see(false)")
        await opened.page.press(WRITES, "Enter")
        await opened.named()
        await opened.page.evaluate("see(true)")
        await opened.ended()
        session = (await house.http.get("/api/chatbot/sessions")).json()[0]["uuid"]
        await house.http.post("/messages/stream", json={"content": "say two", "session_id": session})
        await opened.page.wait_for_selector(".bubble >> text=say two")


async def test_keys_of_an_input_method_send_and_stop_nothing(tmp_path: Path) -> None:
    async with long_reply(tmp_path) as (model, opened):
        page = opened.page
        await page.hover(".session")
        await page.click(".session button")
        await page.click("text=Rename")
        await page.fill(".rename", "川")
        await page.locator(".rename").evaluate(COMPOSES, "Enter")
        await page.locator(".rename").evaluate(COMPOSES, "Escape")
        assert await page.input_value(".rename") == "川"
        await page.press(".rename", "Enter")
        await page.wait_for_selector(".session a[title=川]")
        model.say("the end.")
        model.end()
        await opened.ended()
        assert await opened.shown() == ["Once the end."]
        await page.fill(WRITES, "川")
        await page.locator(WRITES).evaluate(COMPOSES, "Enter")
        await opened.composes("川")
        assert await page.locator(".bubble").count() == 1


async def test_the_next_visitor_gets_no_draft_and_no_settings(tmp_path: Path) -> None:
    keys = [await key_of(tmp_path, user) for user in ("anna", "ben")]
    async with chat_tab(tmp_path, ready="input[type=password]") as (_, opened):
        page = opened.page
        await page.fill("input[type=password]", keys[0])
        await page.press("input[type=password]", "Enter")
        await page.click("button:has-text('Settings')")
        await page.fill(".settings textarea", "I am Anna.")
        await page.fill(WRITES, "my secret")
        await page.click("text=Log out")
        await page.fill("input[type=password]", keys[1])
        await page.press("input[type=password]", "Enter")
        await page.click("button:has-text('Settings')")
        assert await page.input_value(".settings textarea") == ""
        assert await page.input_value(WRITES) == ""


async def test_a_view_whose_files_could_not_be_loaded_is_loaded_again(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.page.route(re.compile("control_room.js"), lambda route: route.abort(), times=1)
        await opened.page.click("text=Control room")
        await opened.page.wait_for_selector("main [role=alert]")
        await opened.page.wait_for_selector("h1 >> text=Control room")


async def test_libraries_that_could_not_be_loaded_are_loaded_for_the_next_text(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        libraries = re.compile("vendor/(highlight|temml).js")
        await opened.page.route(libraries, lambda route: route.abort(), times=2)
        await opened.ask("say $x$\n\n```python\nimport x\n```\n")
        await opened.ask("say $y$\n\n```python\nimport y\n```\n")
        await opened.page.wait_for_selector(".hljs-keyword")
        await opened.page.wait_for_selector(".maths.drawn math")
        assert [each for each in opened.complaints if each.startswith("exception")] == []


async def test_a_proxy_without_a_gateway_is_no_gateway_that_is_up(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.page.wait_for_selector(".status .dot.on")
        await opened.page.route(re.compile("/api/metrics"), lambda route: route.fulfill(status=502))
        await opened.page.wait_for_selector(".status >> text=does not answer")


async def test_messages_that_could_not_be_loaded_are_loaded_again_and_later_ones_too(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        await opened.ask("say one")
        await opened.named()
        await until(house.streams, 1)
        session = (await house.http.get("/api/chatbot/sessions")).json()[0]["uuid"]
        failed = asyncio.Event()

        async def fail(route: Route) -> None:
            failed.set()
            await route.abort()

        await opened.page.route(re.compile(r"/messages\?"), fail, times=1)
        await house.http.post("/messages/stream", json={"content": "say two", "session_id": session})
        await failed.wait()
        await opened.page.wait_for_selector(".bubble >> text=say two")
        await opened.page.wait_for_selector("main [role=alert]", state="detached")
        await house.http.post("/messages/stream", json={"content": "say three", "session_id": session})
        await opened.page.wait_for_selector(".bubble >> text=say three")


async def test_what_happens_before_the_events_can_be_heard_is_loaded(tmp_path: Path) -> None:
    async with chat_tab(tmp_path, SSE_PING_S="0.1") as (house, opened):
        await opened.ask("say one")
        await opened.named()
        refused, may_hear = asyncio.Event(), asyncio.Event()

        async def listen_later(route: Route) -> None:
            if refused.is_set():
                await may_hear.wait()
                await route.continue_()
            else:
                refused.set()
                await route.abort()

        await opened.page.route(re.compile("/events$"), listen_later)
        await opened.page.reload()
        await opened.ended()
        await refused.wait()
        session = (await house.http.get("/api/chatbot/sessions")).json()[0]["uuid"]
        await house.http.post("/messages/stream", json={"content": "say two", "session_id": session})
        may_hear.set()
        await opened.page.wait_for_selector(".bubble >> text=say two")


async def test_a_reply_that_the_gateway_does_not_give_is_not_asked_for_without_a_pause(
    tmp_path: Path,
) -> None:
    async with long_reply(tmp_path) as (_, opened):
        asked = 0

        async def refuse(route: Route) -> None:
            nonlocal asked
            asked += 1
            await route.fulfill(status=404, json={"code": "not_found", "detail": "No such stream."})

        await opened.page.route(re.compile("/messages/stream/"), refuse)
        await opened.page.reload()
        other_requests = 0
        while asked < 3:
            await opened.page.evaluate("fetch('health').then((answer) => answer.text())")
            other_requests += 1
            await look_again()
        assert other_requests > 12


async def test_a_visitor_need_not_wait_as_long_as_a_proxy_asks_for(tmp_path: Path) -> None:
    async with long_reply(tmp_path) as (model, opened):
        stream = re.compile("/messages/stream/|/events$")
        hour = {"Retry-After": "3600"}
        await opened.page.route(stream, lambda route: route.fulfill(status=503, headers=hour))
        await opened.page.reload()
        await opened.page.wait_for_selector(".message.reply >> text=The connection is lost")
        await opened.page.unroute(stream)
        model.say("the end.")
        model.end()
        await opened.page.click(".message.reply >> text=Try now")
        await opened.ended()
        assert await opened.shown() == ["Once the end."]


async def test_messages_that_were_loaded_before_a_reply_ended_do_not_begin_it_again(tmp_path: Path) -> None:
    async with scripted_tab(tmp_path, HIDEABLE) as (house, opened):
        page = opened.page
        await opened.write("pause one")
        await page.wait_for_selector(".message.reply .markdown")
        await opened.named()
        await until(house.streams, 2)
        await page.evaluate("see(false)")
        await until(house.streams, 1)
        loaded, ended = asyncio.Event(), asyncio.Event()
        followed: list[str] = []

        async def hold(route: Route) -> None:
            response = await route.fetch()
            loaded.set()
            await ended.wait()
            await route.fulfill(response=response)

        await page.route(re.compile(r"/messages\?"), hold, times=1)
        page.on(
            "request", lambda asked: followed.append(asked.url) if "/messages/stream/" in asked.url else None
        )
        await page.evaluate("see(true)")
        await loaded.wait()
        await house.http.post("/messages/stream", json={"content": "go one"})
        await opened.ended()
        async with page.expect_response(lambda answer: "/messages?" in answer.url):
            ended.set()
        for _ in range(3):
            await page.evaluate("fetch('health').then((answer) => answer.text())")
        assert followed == []
