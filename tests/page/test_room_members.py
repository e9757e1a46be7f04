"""Members of rooms on the page: invitations, removals, watchers."""

import re
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.page.browser import WRITES, requires_chromium, tab
from tests.page.station import ROOMS, entered, heard, keys_of_three, station

pytestmark = [pytest.mark.live, requires_chromium()]


async def test_a_chat_becomes_a_room_by_an_invitation_and_a_member_is_removed(
    tmp_path: Path,
) -> None:
    keys = await keys_of_three(tmp_path)
    async with station(tmp_path) as at, entered(at, keys[0]) as anna:
        at.model.open_with("Once.", end=True)
        await anna.ask("Tell me.")
        await anna.page.click("text=Invite…")
        await anna.page.click("text=Make a link")
        link = await anna.page.input_value("[aria-label='Invitation link']")
        await anna.page.keyboard.press("Escape")
        await anna.page.wait_for_selector(".room-head")
        await anna.page.wait_for_selector(".session a .icon")
        async with entered(at, keys[1], "#" + link.partition("#")[2]) as ben:
            await ben.page.click("text=Join the room")
            await ben.page.wait_for_selector(".room-head")
            assert "join" not in ben.page.url
            await ben.ended()
            assert await ben.shown(".bubble, .reply .markdown") == ["Tell me.", "Once."]
            await ben.page.wait_for_selector(".session a .icon")
            await anna.page.locator(".member", has_text="ben").locator("[aria-label=here]").wait_for()
            await ben.write("Hello.")
            await heard(anna, "ben", "Hello.")
            assert await ben.page.locator("button[aria-label^=Remove]").count() == 0
            await anna.page.click("[aria-label='Remove ben']")
            await anna.page.click("text=Really remove")
            await ben.page.wait_for_selector("text=You hear nothing more of this room.")
            assert await ben.page.locator(WRITES).count() == 0
            await anna.page.locator(".member", has_text="ben").wait_for(state="detached")
            await ben.page.reload()
            await ben.page.wait_for_selector("[role=alert] >> text=No such session")


async def test_a_watcher_reads_and_cannot_write_and_leaves(tmp_path: Path) -> None:
    keys = await keys_of_three(tmp_path)
    async with station(tmp_path) as at, AsyncExitStack() as stack:
        headers = {"Authorization": f"Bearer {keys[0]}"}
        room = (await at.house.http.post(ROOMS, json={"title": "Pump station"}, headers=headers)).json()
        anna = await stack.enter_async_context(entered(at, keys[0]))
        await anna.page.goto(f"{at.url}/#/chat/{room['uuid']}")
        await anna.page.click("text=Invite…")
        await anna.page.click("text=only read")
        await anna.page.click("text=Make a link")
        link = await anna.page.input_value("[aria-label='Invitation link']")
        await anna.page.keyboard.press("Escape")
        async with entered(at, keys[2], "#" + link.partition("#")[2]) as eve:
            await eve.page.click("text=Join the room")
            await eve.page.wait_for_selector("text=You watch this room")
            await anna.write("Look.")
            await heard(eve, "anna", "Look.")
            assert await eve.page.locator(WRITES).count() == 0
            await anna.page.wait_for_selector(".member:has-text('eve') >> text=only reads")
            await eve.page.route(re.compile(r"/members\?"), lambda route: route.abort(), times=1)
            await eve.page.click("text=Leave the room")
            await eve.page.click("text=Really leave")
            await eve.page.wait_for_selector("[role=alert] >> text=did not answer")
            await eve.page.click("text=Really leave")
            await eve.page.wait_for_selector(".welcome")
            await eve.page.wait_for_selector("text=No sessions yet.")
            await anna.page.locator(".member", has_text="eve").wait_for(state="detached")


async def test_an_invitation_that_is_none_says_so(tmp_path: Path) -> None:
    async with station(tmp_path) as at, tab(at.started, f"{at.url}/#/join/1.member.1.x", ".join") as opened:
        await opened.page.click("text=Join the room")
        await opened.page.wait_for_selector("[role=alert]")
