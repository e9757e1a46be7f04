"""Markdown in replies, in Chromium."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Locator

from tests.live.house import gateway_of
from tests.live.model_server import model_server
from tests.page.browser import browser, requires_chromium, tab
from tests.page.pages import WITHIN_S, long_reply

pytestmark = [pytest.mark.live, requires_chromium()]

LINES = "An old silent pond\nA frog jumps into the pond\nSplash! Silence again."
CELL = "| a | b |\n|---|---|\n| one<br>two<br/>three | H<sub>2</sub>O |\n"
RANGES = "Take 1~2, not 3~4. ~~Never~~ five."
NAMED = "See [the manual][1] and [Other].\n\n- In a list: [1]\n\n```\n[1]\n\n[1]: https://example.invalid/code\n```\n\n"
DEFINITIONS = '[1]: https://example.invalid/manual "Title"\n[other]: <https://example.invalid/other>\n'
CODE_IN_A_LIST = "1. First\n\n   ```python\n   return 1\n   ```\n"


@asynccontextmanager
async def replied(tmp_path: Path, *texts: str) -> AsyncIterator[Locator]:
    """The shown reply that came in these pieces."""
    async with (
        asyncio.timeout(WITHIN_S),
        model_server() as model,
        gateway_of(tmp_path, model.url) as house,
        browser() as started,
        tab(started, str(house.http.base_url)) as opened,
    ):
        model.open_with(*texts, end=True)
        await opened.ask("Go on")
        yield opened.page.locator(".message.reply .markdown")
        assert opened.complaints == []


async def test_lines_of_a_poem_stay_lines(tmp_path: Path) -> None:
    async with replied(tmp_path, LINES) as reply:
        assert (await reply.inner_text()).strip() == LINES


async def test_cells_have_lines_and_small_figures(tmp_path: Path) -> None:
    async with replied(tmp_path, CELL) as reply:
        assert await reply.locator("td").all_inner_texts() == ["one\ntwo\nthree", "H2O"]


async def test_cells_of_text_from_right_to_left_begin_at_its_edge(tmp_path: Path) -> None:
    async with replied(tmp_path, "\u0623\n\n| \u0623 | \u0628 |\n|---|---|\n| \u0623 | \u0628 |\n") as reply:
        paddings = await reply.locator("td").evaluate_all(
            "all => all.map((cell) => getComputedStyle(cell).paddingRight)"
        )
        assert paddings == ["0px", "0px"]


async def test_a_range_is_not_struck_out(tmp_path: Path) -> None:
    async with replied(tmp_path, RANGES) as reply:
        assert await reply.locator("del").all_inner_texts() == ["Never"]
        assert "1~2, not 3~4" in await reply.inner_text()


async def test_links_have_the_addresses_that_stand_at_the_end(tmp_path: Path) -> None:
    async with replied(tmp_path, NAMED, DEFINITIONS[:20], DEFINITIONS[20:]) as reply:
        links = await reply.locator("a").evaluate_all("all => all.map((one) => [one.textContent, one.href])")
        manual, other = "https://example.invalid/manual", "https://example.invalid/other"
        assert links == [["the manual", manual], ["Other", other], ["1", manual]]
        assert await reply.locator("code").inner_text() == "[1]\n\n[1]: https://example.invalid/code"


async def test_a_table_of_contents_is_no_way_out_of_the_chat(tmp_path: Path) -> None:
    async with replied(tmp_path, "1. [Beginning](#beginning)\n\n# Beginning\n") as reply:
        assert await reply.locator("li").inner_text() == "Beginning"
        assert await reply.locator("a").count() == 0


async def test_code_in_a_list_is_coloured_once_the_colours_are_loaded(tmp_path: Path) -> None:
    async with replied(tmp_path, CODE_IN_A_LIST) as reply:
        await reply.locator("li .hljs-keyword").wait_for()


async def test_much_code_is_coloured_when_the_page_is_loaded_again(tmp_path: Path) -> None:
    steps = "".join(
        f"{number}. Step\n\n   ```python\n   return {number}\n   ```\n\n" for number in range(1, 300)
    )
    async with replied(tmp_path, steps) as reply:
        await reply.locator(".hljs-keyword").last.wait_for()
        await (
            reply.page.reload()
        )  # the colours are in the browser's memory now, and come while the page draws
        await reply.locator(".hljs-keyword").last.wait_for()


async def test_a_list_that_grows_long_stays_a_list_and_is_drawn_item_by_item(tmp_path: Path) -> None:
    steps = [f"{number}. Step **{number}**\n\n    {'word ' * 70}\n\n" for number in range(1, 100)]
    async with long_reply(tmp_path) as (model, opened):
        items = opened.page.locator(".reply li")
        model.say("upon a time:\n\n" + "".join(steps[:20]))
        await items.nth(19).wait_for()
        await items.nth(4).evaluate("(item) => item.classList.add('seen')")
        for begin in range(20, 99, 10):
            model.say("".join(steps[begin : begin + 10])[:-20])
            model.say("".join(steps[begin : begin + 10])[-20:])
        model.end()
        await opened.ended()
        assert await opened.page.locator(".reply .plain").count() == 0
        assert await opened.page.locator(".reply li.seen").count() == 1
        grown = await items.all_inner_texts()
        assert (len(grown), grown[-1].split()[:2]) == (99, ["Step", "99"])
        await opened.page.reload()
        await opened.ended()
        assert await items.all_inner_texts() == grown
        assert await opened.page.locator(".reply ol").count() == 1
        assert opened.complaints == []
