"""The control room in Chromium, with a real gateway, broker and worker."""

from pathlib import Path

import pytest

from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.node import requires_node
from tests.live.nursery import forked_sluice
from tests.live.scripted_model import MODEL, scripted_model
from tests.page.axe import grave_findings
from tests.page.browser import Tab, browser, requires_chromium, tab
from tests.page.pages import chat_tab, key_of

pytestmark = [pytest.mark.live, requires_chromium()]

TWO_HOURS_AHEAD = "const now = Date.now; Date.now = () => now() + 7_200_000;"


async def enter(opened: Tab) -> None:
    await opened.page.click("text=Control room")
    await opened.page.wait_for_selector(".control .fact")


async def test_a_running_reply_is_shown_and_stopped_after_a_question(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        reader = await house.begin("hold rivers")
        await enter(opened)
        running = opened.page.locator(".streams .fact")
        await running.filter(has_text="tokens/s").wait_for()
        await running.locator("text=Stop").click()
        await opened.page.click("dialog >> text=Stop the reply")
        await opened.page.wait_for_selector("text=Nothing is being written.")
        await reader.read()
        (stored,) = await house.messages()
        assert (stored["status"], stored["reason"]) == ("cancelled", "user_stop")
        assert opened.complaints == []


@requires_node()
@pytest.mark.usefixtures("axe")
async def test_failures_say_what_to_do_and_charts_can_be_read_in_both_themes(tmp_path: Path) -> None:
    async with chat_tab(tmp_path, REPLY_DEADLINE_S="5") as (house, opened):
        for question in ("say rivers", "break rivers", "hold rivers"):
            await (await house.client.ask(question)).read()
        await enter(opened)
        failure = opened.page.locator(".failures li", has_text="Look at the model server's log")
        await failure.wait_for()
        assert "upstream_error" in await failure.inner_text()
        errors = opened.page.locator("figure:has-text('Errors')")
        await errors.locator("canvas").wait_for()
        assert await errors.locator(".figures").inner_text() == "1 timeout · 1 upstream_error"
        assert await errors.locator(".key").count() == 2
        assert opened.complaints == []
        for theme in ("light", "dark"):
            await opened.page.emulate_media(color_scheme=theme)
            assert await grave_findings(opened.page) == []


async def test_charts_are_there_where_the_clock_of_the_visitor_is_wrong(tmp_path: Path) -> None:
    async with (
        chat_tab(tmp_path) as (house, _),
        browser() as started,
        tab(started, str(house.http.base_url), script=TWO_HOURS_AHEAD) as opened,
    ):
        await opened.ask("say one")
        await enter(opened)
        plot = opened.page.locator("figure .u-over").first
        await plot.wait_for()  # until the library is loaded, another element stands for the chart
        chart, inner = [await one.bounding_box() for one in (opened.page.locator(".chart").first, plot)]
        assert chart is not None
        assert inner is not None
        right = chart["x"] + chart["width"] - inner["x"] - inner["width"]
        assert right >= 25  # half of the last time below the plot


async def test_a_gateway_that_is_not_ready_is_waited_for(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        hour = {"Retry-After": "3600"}
        await opened.page.route("**/api/admin/live", lambda route: route.fulfill(status=503, headers=hour))
        await opened.page.click("text=Control room")
        await opened.page.wait_for_selector(".control >> text=The gateway does not answer")
        await opened.page.unroute("**/api/admin/live")
        await opened.page.click(".control >> text=Try now")
        await opened.page.wait_for_selector(".control .fact")


@requires_mosquitto()
async def test_the_mode_is_switched_by_force_and_a_worker_is_disabled(tmp_path: Path) -> None:
    async with running_mosquitto() as broker, scripted_model() as model:
        address = {"MQTT_BROKER_HOST": "127.0.0.1", "MQTT_BROKER_PORT": str(broker.address.port)}
        async with chat_tab(tmp_path, **address) as (house, opened):
            await enter(opened)
            page = opened.page
            await page.click(".control .segments >> text=MQTT")
            await page.click("dialog >> text='Switch'")
            await page.wait_for_selector("dialog >> text=no MQTT worker is ready")
            await page.click("dialog >> text=Switch anyway")
            await page.wait_for_selector(".control .segments [aria-pressed=true] >> text=MQTT")
            assert (await house.http.get("/api/admin/mode")).json()["mode"] == "mqtt"
            worker = ("worker", "--name", "w-1", "--llm-url", model)
            async with forked_sluice(*worker, cwd=tmp_path, **address):
                row = page.locator(".control .fact", has_text="w-1")
                await row.filter(has_text=MODEL).wait_for()
                await row.locator("text=Disable").click()
                await row.filter(has_text="disabled").wait_for()
            await page.click("aside .segments >> text=HTTP")
            await page.wait_for_selector(".control .segments [aria-pressed=true] >> text=HTTP")


async def test_without_the_rights_it_says_what_is_missing(tmp_path: Path) -> None:
    key = await key_of(tmp_path)
    async with chat_tab(tmp_path, ready="input[type=password]") as (_, opened):
        await opened.page.fill("input[type=password]", key)
        await opened.page.press("input[type=password]", "Enter")
        await opened.page.click("text=Control room")
        await opened.page.wait_for_selector("text=The control room is for administrators")
        assert await opened.page.locator(".segments").count() == 0


@requires_mosquitto()
async def test_a_device_and_a_worker_are_played_over_the_broker(tmp_path: Path) -> None:
    async with running_mosquitto() as broker:
        address = {"MQTT_BROKER_HOST": "127.0.0.1", "MQTT_BROKER_PORT": str(broker.address.port)}
        async with chat_tab(tmp_path, LLM_COMM_MODE="auto", **address) as (house, opened):
            await enter(opened)
            page = opened.page
            await page.fill("input[aria-label=Question]", "say locks")
            await page.click("text=Play a device")
            await page.wait_for_selector("text=The device has its answer")
            kinds = await page.locator(".frames b").all_inner_texts()
            assert (kinds[:2], kinds[-1]) == (["chat", "accept"], "end")
            (stored,) = await house.messages()
            assert (await opened.shown(".words"))[0].split() == stored["content"].split()
            await page.click("text=Play a worker")
            await page.click("text=Ask it in a chat")
            await page.wait_for_selector(".words >> text=the text that you read.")
            kinds = await page.locator(".frames b").all_inner_texts()
            assert {"status", "request", "accept", "chunk"} <= set(kinds)
            assert opened.complaints == []
            await page.click(".played >> text=End")
            await page.locator(".control .fact", has_text="simulated-worker").wait_for(state="detached")
