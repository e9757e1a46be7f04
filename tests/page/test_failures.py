"""The page when requests fail, come late, or name things that are gone."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import Request, Route

from tests.page.browser import requires_chromium
from tests.page.pages import chat_tab, key_of, long_reply

pytestmark = [pytest.mark.live, requires_chromium()]

NOTE_FAILURES = """() => new MutationObserver(() => {
  if (document.querySelector(".sessions .failure")) window.failed = true;
}).observe(document.body, {childList: true, subtree: true})"""
LISTS = re.compile(r"/api/chatbot/sessions\?")


async def test_a_key_in_the_field_of_a_trial_starts_no_second_one(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        page = opened.page
        tried: list[Request] = []
        page.on("request", lambda request: tried.append(request) if request.url.endswith("/test") else None)
        await page.click("text=Templates")
        await page.fill("label:has-text('Name') input", "Formal")
        await page.click("button:has-text('Save')")
        await page.fill("[aria-label=Question]", "hold rivers")
        await page.click("button:has-text('Try')")
        await page.wait_for_selector(".trial .markdown")
        await page.press("[aria-label=Question]", "Enter")
        await page.click(".trial button:has-text('Stop')")
        await page.wait_for_selector(".trial button:has-text('Try')")
        assert len(tried) == 1


async def test_a_template_that_is_deleted_leaves_the_settings(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        page = opened.page
        for name in ("Formal", "Brief"):
            await house.http.post("/api/chatbot/templates", json={"name": name})
        await page.click("button:has-text('Settings')")
        await page.select_option("label:has-text('Template') select", label="Formal")
        await page.click("text=Templates")
        await page.click("button:has-text('Formal')")
        await page.click("button:has-text('Delete')")
        await page.click("dialog button:has-text('Cancel')")
        await page.wait_for_selector(".chips button:has-text('Formal')")
        await page.click("button:has-text('Delete')")
        await page.click("dialog button:has-text('Delete')")
        await page.wait_for_selector(".chips button:has-text('Formal')", state="detached")
        await page.click("button:has-text('New chat')")
        await opened.ask("say one")
        assert (await opened.shown())[0].startswith("About one")


async def test_a_template_that_somebody_else_deleted_can_be_left(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        page = opened.page
        made = (await house.http.post("/api/chatbot/templates", json={"name": "Formal"})).json()
        await page.click("button:has-text('Settings')")
        await page.select_option("label:has-text('Template') select", label="Formal")
        await house.http.delete(f"/api/chatbot/templates/{made['id']}")
        await page.click("button:has-text('New chat')")
        await page.click("button:has-text('Settings')")
        await page.wait_for_selector(
            "label:has-text('Template') option:has-text('deleted')", state="attached"
        )
        await page.select_option("label:has-text('Template') select", label="none")
        await opened.ask("say one")
        assert (await opened.shown())[0].startswith("About one")


async def test_a_session_that_cannot_be_deleted_is_still_there_and_the_page_says_why(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        page = opened.page
        await opened.ask("say one")
        await page.wait_for_selector(".session a[title='say one']")
        await page.route(
            re.compile(r"/api/chatbot/sessions/[^/?]+$"),
            lambda route: route.abort() if route.request.method == "DELETE" else route.continue_(),
        )
        await page.hover(".session")
        await page.click(".session button")
        await page.click(".menu .danger")
        await page.click(".menu .danger")
        await page.wait_for_selector(".sessions .failure >> text=did not answer")
        assert await opened.shown(".question .bubble") == ["say one"]


async def test_an_older_search_that_fails_late_changes_nothing(tmp_path: Path) -> None:
    asked, may_fail = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        asked.set()
        await may_fail.wait()
        await route.abort()

    async with chat_tab(tmp_path) as (_, opened):
        page = opened.page
        await opened.ask("say one")
        await page.wait_for_selector(".session a[title='say one']")
        await page.evaluate(NOTE_FAILURES)
        await page.route(LISTS, hold, times=1)
        await page.fill(".search input", "two")
        await asked.wait()
        await page.fill(".search input", "three")
        await page.wait_for_selector("text=Nothing found.")
        async with page.expect_event("requestfailed", lambda request: "q=two" in request.url):
            may_fail.set()
        await page.fill(".search input", "say")
        await page.wait_for_selector(".session a[title='say one']")
        assert await page.evaluate("window.failed === undefined")


async def test_a_gateway_that_refuses_its_state_and_a_logout_end_the_questions_for_it(tmp_path: Path) -> None:
    key = await key_of(tmp_path)  # without the scope metrics
    async with chat_tab(tmp_path, ready="input[type=password]") as (_, opened):
        page = opened.page
        await page.clock.install()
        await page.reload()
        await page.fill("input[type=password]", key)
        async with page.expect_response(re.compile("/api/metrics$")) as refused:
            await page.click("text=Enter")
        assert (await refused.value).status == 403
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.clock.run_for(30_000)
        await page.click("text=Log out")
        await page.wait_for_selector("input[type=password]")
        await page.clock.run_for(30_000)
        assert [url for url in asked if url.endswith("/api/metrics")] == []


async def test_a_list_of_sessions_that_could_not_be_loaded_is_loaded_again(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        await house.http.post("/api/chatbot/sessions", json={"title": "Rivers"})
        await opened.page.route(re.compile("/sessions\\?"), lambda route: route.abort(), times=1)
        await opened.page.reload()
        await opened.page.wait_for_selector(".sessions .failure")
        await opened.page.wait_for_selector(".session a[title=Rivers]")
        assert await opened.page.locator(".sessions .failure").count() == 0


async def test_after_a_log_out_the_list_of_sessions_is_not_looked_at(tmp_path: Path) -> None:
    key = await key_of(tmp_path)
    async with chat_tab(tmp_path, ready="input[type=password]") as (_, opened):
        page = opened.page
        await page.clock.install()
        await page.reload()
        await page.fill("input[type=password]", key)
        await page.click("text=Enter")
        await opened.write("hold rivers")
        await page.clock.run_for(1000)
        await page.wait_for_selector(".session .dot.busy")
        await page.click("text=Log out")
        await page.wait_for_selector("input[type=password]")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.clock.run_for(30_000)
        assert asked == []


async def test_a_setting_that_is_written_while_a_reply_grows_stays(tmp_path: Path) -> None:
    async with long_reply(tmp_path) as (model, opened):
        page = opened.page
        await page.click("button:has-text('Settings')")
        await page.locator(".settings textarea").press_sequentially("Be ")
        await page.locator(".settings input").first.press_sequentially("0.")
        await page.locator(".settings textarea").focus()
        await page.keyboard.press("End")
        await page.keyboard.type("br")
        model.say("more ")
        await page.wait_for_selector(".markdown >> text=more")
        await page.keyboard.type("ief.")
        assert await page.input_value(".settings textarea") == "Be brief."


async def test_a_message_that_cannot_be_drawn_is_its_text_and_the_others_are_shown(tmp_path: Path) -> None:
    async def spoil(route: Route) -> None:
        answer = await route.fetch()
        messages = await answer.json()
        for message in messages[:1]:
            message["parts"] = [{"type": "image_url"}]
        await route.fulfill(response=answer, json=messages)

    async with chat_tab(tmp_path) as (_, opened):
        await opened.ask("say one")
        await opened.ask("say two")
        await opened.page.route(re.compile(r"/messages\?"), spoil)
        await opened.page.reload()
        await opened.ended()
        told = opened.page.locator(".message").filter(has_text="cannot be drawn")
        await told.filter(has_text="say one").wait_for()
        assert await opened.page.locator(".message.reply .markdown").count() == 2


async def test_a_session_that_is_deleted_meanwhile_is_said_to_be_gone(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        await opened.ask("say one")
        await opened.named()
        uuid = opened.page.url.rpartition("/")[2]
        async with opened.page.expect_response(re.compile("/events$")):
            await opened.page.reload()
        assert (await house.http.delete(f"/api/chatbot/sessions/{uuid}")).status_code == 204
        await opened.page.locator(".conversation .failure").filter(has_text="session").wait_for()
        await opened.page.wait_for_selector(".session", state="detached")
