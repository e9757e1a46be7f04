"""A room in two windows while its gateway is killed in mid-reply: the model server keeps the reply."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.live.house import gateway_of
from tests.live.keeping_model import OPENING, keeping_model
from tests.page.browser import Tab, browser, requires_chromium
from tests.page.pages import WITHIN_S
from tests.page.station import Windows, heard

pytestmark = [pytest.mark.live, requires_chromium()]

REPLY = f"{OPENING}two three."


async def shows(opened: Tab, text: str, *, busy: bool) -> None:
    """Wait until the tab shows the reply with this text in it."""
    state = "true" if busy else "false"
    await opened.page.locator(f".reply[aria-busy={state}]", has_text=text).wait_for()


@pytest.mark.parametrize("ends_meanwhile", [False, True])
async def test_two_windows_go_on_and_show_everything_once(tmp_path: Path, ends_meanwhile: bool) -> None:
    async with (
        asyncio.timeout(WITHIN_S),
        keeping_model() as model,
        browser() as started,
        gateway_of(tmp_path, model.url) as house,
    ):
        at = Windows(house, started)
        room = await at.room()
        async with at.window(room, "Anna") as anna, at.window(room, "Ben") as ben:
            both = (anna, ben)
            await anna.page.wait_for_selector("text=2 here")
            await anna.write("@model Count.")
            for one in both:
                await shows(one, OPENING.strip(), busy=True)
            await ben.write("It counts.")
            await heard(anna, "Ben", "It counts.")
            await house.program.end(signal.SIGKILL)
            for one in both:
                await one.page.wait_for_selector("text=Offline. It reconnects by itself.")
            model.say("two ")
            if ends_meanwhile:
                model.say("three.")
                model.end()
            async with gateway_of(tmp_path, model.url, PORT=str(house.http.base_url.port)):
                if not ends_meanwhile:
                    for one in both:
                        await shows(one, "two", busy=True)
                    model.say("three.")
                    model.end()
                for one in both:
                    await shows(one, "three.", busy=False)
                await anna.write("Thank you.")
                await heard(ben, "Anna", "Thank you.")
                for one in both:
                    texts = await one.shown(".bubble, .reply .markdown")
                    assert texts == ["@model Count.", REPLY, "It counts.", "Thank you."]
                    assert [said for said in one.complaints if said.startswith("exception")] == []
    assert model.asked["POST /v1/chat/completions"] == 1
