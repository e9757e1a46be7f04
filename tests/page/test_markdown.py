"""Markdown in replies, in Chromium."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from playwright.async_api import Locator

from tests.live.house import gateway_of
from tests.live.model_server import ModelServer, model_server
from tests.page.browser import Tab, browser, requires_chromium, tab

pytestmark = [pytest.mark.live, requires_chromium()]

LINES = "An old silent pond\nA frog jumps into the pond\nSplash! Silence again."
CELL = "| a | b |\n|---|---|\n| one<br>two<br/>three | H<sub>2</sub>O |\n"
RANGES = "Take 1~2, not 3~4. ~~Never~~ five."
NAMED = "See [the manual][1] and [Other].\n\n- In a list: [1]\n\n```\n[1]\n\n[1]: https://example.invalid/code\n```\n\n"
DEFINITIONS = '[1]: https://example.invalid/manual\n  "Title"\n[other]: <https://example.invalid/other>\n'
MARKUP = "<ul>\n    <li>One</li>\n</ul>"
CODE_IN_A_LIST = "1. First\n\n   ```python\n   return 1\n   ```\n"


@dataclass
class Desk:
    """A model that writes what a test says, and a tab whose chats begin one after the other."""

    model: ModelServer
    opened: Tab

    async def replied(self, *texts: str) -> Locator:
        """Return the shown reply, which came in these pieces."""
        await self.opened.new_chat()
        self.model.open_with(*texts, end=True)
        await self.opened.ask("Go on")
        assert self.opened.complaints == []
        return self.opened.page.locator(".message.reply .markdown")


@pytest.fixture(scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with (
        model_server() as model,
        gateway_of(tmp_path_factory.mktemp("desk"), model.url) as house,
        browser() as started,
        tab(started, str(house.http.base_url)) as opened,
    ):
        yield Desk(model, opened)


async def test_lines_of_a_poem_stay_lines(desk: Desk) -> None:
    reply = await desk.replied(LINES)
    assert (await reply.inner_text()).strip() == LINES


async def test_cells_have_lines_and_small_figures(desk: Desk) -> None:
    reply = await desk.replied(CELL)
    assert await reply.locator("td").all_inner_texts() == ["one\ntwo\nthree", "H2O"]


async def test_cells_of_text_from_right_to_left_begin_at_its_edge(desk: Desk) -> None:
    reply = await desk.replied("\u0623\n\n| \u0623 | \u0628 |\n|---|---|\n| \u0623 | \u0628 |\n")
    paddings = await reply.locator("td").evaluate_all(
        "all => all.map((cell) => getComputedStyle(cell).paddingRight)"
    )
    assert paddings == ["0px", "0px"]


async def test_a_range_is_not_struck_out(desk: Desk) -> None:
    reply = await desk.replied(RANGES)
    assert await reply.locator("del").all_inner_texts() == ["Never"]
    assert "1~2, not 3~4" in await reply.inner_text()


async def test_links_have_the_addresses_that_stand_at_the_end(desk: Desk) -> None:
    reply = await desk.replied(NAMED, DEFINITIONS[:20], DEFINITIONS[20:])
    links = await reply.locator("a").evaluate_all("all => all.map((one) => [one.textContent, one.href])")
    manual, other = "https://example.invalid/manual", "https://example.invalid/other"
    assert links == [["the manual", manual], ["Other", other], ["1", manual]]
    assert await reply.locator("code").inner_text() == "[1]\n\n[1]: https://example.invalid/code"


async def test_a_table_of_contents_is_no_way_out_of_the_chat(desk: Desk) -> None:
    reply = await desk.replied("1. [Beginning](#beginning)\n\n# Beginning\n")
    assert await reply.locator("li").inner_text() == "Beginning"
    assert await reply.locator("a").count() == 0


async def test_a_line_below_a_formula_is_a_line(desk: Desk) -> None:
    reply = await desk.replied("It is:\n$$\nx^2\n$$\n---\n| a | b |\n---\n")
    assert await reply.locator("hr, .maths, h2").evaluate_all("all => all.map((one) => one.localName)") == [
        "span",
        "hr",
        "h2",
    ]


async def test_formulas_within_lines_and_before_a_full_stop_are_formulas(desk: Desk) -> None:
    reply = await desk.replied(
        "So $$x^2$$ is, and\n\\[ y \\] \\[ z \\]. Not \\[1\\].\n\n$$a$$.\n\n$$\nb\n$$.\n"
    )
    await reply.locator(".maths.drawn").nth(4).wait_for()
    assert await reply.locator(".maths").count() == 5
    assert await reply.locator(".maths-open").count() == 0
    assert "Not [1]." in await reply.inner_text()


FAR = [
    r"\kern{9999em} y",
    r"\rule{9999em}{9999em}",
    r"\raise{9999em}{y}",
    r"\begin{matrix}a\\[9999em]b\end{matrix}",
]


async def test_distances_in_formulas_leave_the_reply_its_size(desk: Desk) -> None:
    reply = await desk.replied("\n\n".join(f"$x {distance}$" for distance in FAR))
    await reply.locator(".maths.drawn").nth(3).wait_for()
    assert await reply.evaluate("(at) => at.scrollHeight") < 1000
    widths = await reply.locator(".block").evaluate_all("all => all.map((block) => block.scrollWidth)")
    assert max(widths) < 1000


COUNT_MEASURED = """() => {
  const {getBoundingClientRect} = Element.prototype;
  window.measured = [];
  Element.prototype.getBoundingClientRect = function () {
    if (this.localName === "math") measured.push(this.parentElement.title);
    return getBoundingClientRect.call(this);
  };
}"""


async def test_only_formulas_that_may_be_tall_are_measured(desk: Desk) -> None:
    """Each measurement would lay out all that was drawn since the one before: seconds, for thousands."""
    await desk.opened.page.evaluate(COUNT_MEASURED)
    reply = await desk.replied(r"$x^2 + \frac{a}{b}$" + "\n\n" + rf"${FAR[1]}$")
    await reply.locator(".maths.drawn").nth(1).wait_for()
    assert await desk.opened.page.evaluate("measured") == [FAR[1]]
    await desk.opened.page.reload()


async def test_markup_keeps_its_lines_and_what_no_browser_knows_is_text(desk: Desk) -> None:
    reply = await desk.replied(f"<answer>\nIt is **so**.\n<kbd>a<b && c></kbd>\n</answer>\n\n{MARKUP}\n")
    assert await reply.locator("strong").inner_text() == "so"
    text = f"<answer>\nIt is so.\n<kbd>a<b && c></kbd>\n</answer>\n\n{MARKUP}"
    assert (await reply.inner_text()).strip() == text


async def test_code_in_a_list_keeps_its_tabs(desk: Desk) -> None:
    reply = await desk.replied("1. First\n\n   ```make\n   all:\n   \tgo build\n   ```\n")
    assert await reply.locator("li code").text_content() == "all:\n\tgo build"


async def test_code_in_a_list_is_coloured_once_the_colours_are_loaded(desk: Desk) -> None:
    await desk.opened.page.reload()
    reply = await desk.replied(CODE_IN_A_LIST)
    await reply.locator("li .hljs-keyword").wait_for()


async def test_much_code_is_coloured_when_the_page_is_loaded_again(desk: Desk) -> None:
    steps = "".join(
        f"{number}. Step\n\n   ```python\n   return {number}\n   ```\n\n" for number in range(1, 300)
    )
    reply = await desk.replied(steps)
    await reply.locator(".hljs-keyword").last.wait_for()
    await reply.page.reload()  # the colours are in the browser's memory now, and come while the page draws
    await reply.locator(".hljs-keyword").last.wait_for()


STEPS = [f"{number}. Step **{number}**\n\n    {'word ' * 70}\n\n" for number in range(1, 100)]
ROWS = ["| a | b |\n|---|---|\n", *(f"| {number} | **{'word ' * 70}end** |\n" for number in range(1, 99))]


@pytest.mark.parametrize(("texts", "part"), [(STEPS, "ol li"), (ROWS, "tr")], ids=["list", "table"])
async def test_what_grows_long_is_drawn_part_by_part(desk: Desk, texts: list[str], part: str) -> None:
    opened, model = desk.opened, desk.model
    await opened.new_chat()
    model.open_with("Once upon a time:\n\n" + "".join(texts[:20]))
    await opened.write("Go on")
    parts = opened.page.locator(f".reply {part}")
    await parts.nth(19).wait_for()
    await parts.nth(4).evaluate("(item) => item.classList.add('seen')")
    for begin in range(20, 99, 10):
        model.say("".join(texts[begin : begin + 10])[:-20])
        model.say("".join(texts[begin : begin + 10])[-20:])
    model.end()
    await opened.ended()
    assert await opened.page.locator(".reply .plain").count() == 0
    assert await opened.page.locator(f".reply {part}.seen").count() == 1
    grown = await parts.all_inner_texts()
    assert (len(grown), await parts.locator("strong").count()) == (99, 99 if texts is STEPS else 98)
    await opened.page.reload()
    await opened.ended()
    assert await parts.all_inner_texts() == grown
    assert await opened.page.locator(".reply :is(ol, table)").count() == 1
    assert opened.complaints == []
