"""Rooms on the page: people in several windows, a device and the model, with a real gateway and broker."""

import signal
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import FilePayload

from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.house import gateway_of, until
from tests.live.node import requires_node
from tests.page.axe import grave_findings
from tests.page.browser import WRITES, requires_chromium, tab
from tests.page.pages import uploads
from tests.page.station import heard, rename, station
from tests.page.test_chat import PNG

pytestmark = [pytest.mark.live, requires_chromium()]

HOSTILE = "<img src=x onerror='window.broken=1'>"


@requires_mosquitto()
async def test_two_people_a_device_and_the_model_see_each_other_in_step(tmp_path: Path) -> None:
    async with running_mosquitto() as broker:
        address = {"MQTT_BROKER_HOST": "127.0.0.1", "MQTT_BROKER_PORT": str(broker.address.port)}
        async with station(tmp_path, **address) as at:
            room = await at.room()
            async with at.window(room, "Anna") as anna, at.window(room, "Ben") as ben:
                for one in (anna, ben):
                    await one.page.wait_for_selector("text=2 here")
                await anna.write("Good evening.")
                await heard(ben, "Anna", "Good evening.")
                await anna.page.click("text=Play the device")
                await anna.page.wait_for_selector("text=The device is in the room")
                at.model.open_with("It is ")
                await anna.page.fill("[aria-label='What the device says']", "@model is 71 degrees too hot?")
                await anna.page.click("button:has-text('Say')")
                for one in (anna, ben):
                    await heard(one, "simulated-device", "71 degrees")
                    await one.page.wait_for_selector(".reply[aria-busy=true] >> text=It is")
                    assert await one.page.locator(".question.theirs .author .icon").count() == 1
                at.model.say("too hot.")
                at.model.end()
                for one in (anna, ben):
                    await one.ended()
                    assert await one.shown() == ["It is too hot."]
                await anna.page.wait_for_selector(".frames b >> text=chunk")
                await ben.write("Thank you.")
                await heard(anna, "Ben", "Thank you.")
                await anna.page.locator(".frames li", has_text="Thank you.").wait_for()
                for one in (anna, ben):
                    assert one.complaints == []


async def test_a_message_asks_the_model_if_it_names_it_and_the_page_says_so(tmp_path: Path) -> None:
    async with station(tmp_path) as at:
        room = await at.room()
        async with at.window(room, "Anna") as anna:
            await anna.page.wait_for_selector("text=The model will answer.")
            async with at.window(room, "Ben") as ben:
                await ben.page.wait_for_selector("text=Write @model to ask the model.")
                await ben.write("A note.")
                await heard(anna, "Ben", "A note.")
                await ben.page.fill(WRITES, "Well, @mo")
                await ben.page.press(WRITES, "Tab")
                await ben.composes("Well, @model ")
                await ben.page.wait_for_selector("text=The model will answer.")
                at.model.open_with("Yes.", end=True)
                await ben.page.type(WRITES, "is it?")
                await ben.page.press(WRITES, "Enter")
                for one in (anna, ben):
                    await one.ended()
                    assert await one.shown(".bubble, .reply .markdown") == [
                        "A note.",
                        "Well, @model is it?",
                        "Yes.",
                    ]
        assert len(await at.house.messages()) == 1


async def test_files_are_shown_to_everybody(tmp_path: Path) -> None:
    async with station(tmp_path) as at:
        room = await at.room()
        async with at.window(room, "Anna") as anna, at.window(room, "Ben") as ben:
            files: list[FilePayload] = [
                {"name": "river.png", "mimeType": "image/png", "buffer": PNG},
                {"name": "large.png", "mimeType": "image/png", "buffer": PNG + bytes(50_000)},
            ]
            await ben.page.set_input_files("input[type=file]", files)
            await ben.page.locator(".composer .chip[aria-busy=false]").nth(1).wait_for()
            await ben.write("Look.")
            for one in (anna, ben):
                await one.page.locator(".question img").nth(1).wait_for()
            await until(partial(uploads, at.house), [])
            assert anna.complaints == []


async def test_typing_and_presence_come_and_go(tmp_path: Path) -> None:
    async with station(tmp_path) as at:
        room = await at.room()
        async with at.window(room, "Anna") as anna:
            async with at.window(room, "Ben") as ben:
                await anna.page.locator(".member", has_text="Ben").locator("[aria-label=here]").wait_for()
                await ben.page.fill(WRITES, "Hm")
                await anna.page.wait_for_selector("text=Ben is typing")
                await ben.page.fill(WRITES, "")
                await anna.page.wait_for_selector("text=Ben is typing", state="detached")
                assert await ben.page.locator("text=is typing").count() == 0
            await anna.page.locator(".member", has_text="Ben").wait_for(state="detached")
            await anna.page.wait_for_selector("text=1 here")


async def test_two_browsers_in_which_no_name_was_given_are_two_people(tmp_path: Path) -> None:
    async with station(tmp_path) as at:
        address = f"{at.url}/#/chat/{(await at.room())['uuid']}"
        async with (
            tab(at.started, address, script="Math.random = () => 0.25") as one,
            tab(at.started, address, script="Math.random = () => 0.75") as other,
        ):
            for each in (one, other):
                await each.page.wait_for_selector("text=2 here")
            await one.write("Good evening.")
            await heard(other, "Guest 3250", "Good evening.")


async def test_a_lost_gateway_is_a_pause_and_nothing_is_missed_or_doubled(tmp_path: Path) -> None:
    async with station(tmp_path) as at:
        room = await at.room()
        async with at.window(room, "Anna") as anna, at.window(room, "Ben") as ben:
            await anna.write("One.")
            await heard(ben, "Anna", "One.")
            await at.house.program.end(signal.SIGKILL)
            for one in (anna, ben):
                await one.page.wait_for_selector("text=Offline. It reconnects by itself.")
            await ben.write("Two.")
            await ben.page.wait_for_selector("text=Sending …")
            async with gateway_of(tmp_path, at.model.url, PORT=str(at.house.http.base_url.port)):
                await heard(anna, "Ben", "Two.")
                await ben.page.wait_for_selector("text=Sending …", state="detached")
                await anna.write("Three.")
                await heard(ben, "Anna", "Three.")
                for one in (anna, ben):
                    assert await one.shown(".bubble") == ["One.", "Two.", "Three."]
                await ben.page.reload()
                await ben.page.wait_for_selector("text=2 here")
                assert await ben.shown(".question.theirs .bubble") == ["One.", "Three."]


async def test_a_room_goes_on_after_its_gateway_was_killed_in_mid_reply(tmp_path: Path) -> None:
    async with station(tmp_path) as at:
        room = await at.room()
        async with at.window(room, "Anna") as anna:
            at.model.open_with("Once ")
            await anna.write("Tell me.")
            await anna.page.wait_for_selector(".reply[aria-busy=true] >> text=Once")
            await at.house.program.end(signal.SIGKILL)
            await anna.page.wait_for_selector("text=Offline. It reconnects by itself.")
            async with gateway_of(tmp_path, at.model.url, PORT=str(at.house.http.base_url.port)):
                await anna.page.wait_for_selector("text=Offline", state="detached")
                await anna.ended()
                at.model.open_with("upon a time.", end=True)
                await anna.write("Go on.")
                await anna.page.wait_for_selector(".reply >> text=upon a time.")
                await anna.ended()
                assert await anna.shown(".bubble") == ["Tell me.", "Go on."]
                assert await anna.page.locator(".reply").count() == 2


async def test_hostile_names_titles_devices_and_messages_are_only_text(tmp_path: Path) -> None:
    async with station(tmp_path) as at:
        room = await at.room("robot-1")
        await at.house.http.patch(f"/api/chatbot/sessions/{room['id']}", json={"title": HOSTILE})
        async with at.window(room, "Anna") as anna, at.window(room, "Ben") as ben:
            await rename(ben, HOSTILE, typed=f"{HOSTILE}\u202e\u200b")
            await ben.page.fill(WRITES, HOSTILE)
            await anna.page.wait_for_selector(".typing-line >> text=is typing")
            await ben.page.press(WRITES, "Enter")
            await heard(anna, "img", HOSTILE)
            authors = await anna.shown(".question.theirs .author")
            assert authors == [HOSTILE]
            assert await anna.page.locator(".room img").count() == 0
            for one in (anna, ben):
                assert await one.page.evaluate("window.broken === undefined")
                assert one.complaints == []


@requires_node()
@pytest.mark.usefixtures("axe")
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_serious_in_a_room(tmp_path: Path, theme: Literal["light", "dark"]) -> None:
    async with station(tmp_path) as at:
        room = await at.room("robot-1")
        async with at.window(room, "Anna", color_scheme=theme) as anna, at.window(room, "Ben") as ben:
            await ben.write("Good evening.")
            await heard(anna, "Ben", "Good evening.")
            at.model.open_with("Once.", end=True)
            await ben.write("@model go on")
            await anna.ended()
            await anna.page.fill(WRITES, "@")
            for width in (1280, 390):
                await anna.page.set_viewport_size({"width": width, "height": 800})
                assert await grave_findings(anna.page) == []
            await anna.page.click(".members [aria-label^=Close]")
            assert await grave_findings(anna.page) == []
            await anna.page.click("text=Invite…")
            await anna.page.click("text=Make a link")
            assert await grave_findings(anna.page) == []
