"""Where the visitor writes: what is there already stays, and what is pasted is what was copied."""

from pathlib import Path

import pytest

from tests.live.looking import look_again
from tests.page.browser import WRITES, requires_chromium
from tests.page.pages import chat_tab

pytestmark = [pytest.mark.live, requires_chromium()]

PASTE_CELLS = """(selector) => {
  const cells = new DataTransfer();
  cells.setData("text/plain", "1\\t2");
  cells.setData("text/html", "<table><tr><td>1<td>2</table>");
  cells.items.add(new File(["x"], "image.png", {type: "image/png"}));
  const event = new ClipboardEvent("paste", {bubbles: true, cancelable: true, clipboardData: cells});
  document.querySelector(selector).dispatchEvent(event);
  return event.defaultPrevented;
}"""


async def test_a_question_that_is_taken_back_leaves_what_was_written_meanwhile(tmp_path: Path) -> None:
    async with chat_tab(tmp_path, MAX_CONTENT_CHARS="20") as (_, opened):
        await opened.write("say something much longer")
        await opened.page.fill(WRITES, "say more")
        await opened.page.click("text=Take back")
        await opened.composes("say something much longer\n\nsay more")
        assert await opened.page.evaluate("document.activeElement.localName") == "textarea"


async def test_cells_of_a_spreadsheet_are_pasted_as_text(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        assert not await opened.page.evaluate(PASTE_CELLS, WRITES)  # the browser pastes the text
        assert await opened.page.locator(".composer .chip").count() == 0


async def test_the_direction_of_a_very_long_text_is_not_looked_for_at_each_key(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        page = opened.page
        await page.fill(WRITES, "word")
        assert await page.get_attribute(WRITES, "dir") == "auto"
        await page.fill(WRITES, "word " * 20_000)
        while await page.get_attribute(WRITES, "dir"):
            await look_again()
