"""Where a long conversation is scrolled to while parts of it get their size."""

from pathlib import Path

import pytest

from tests.page.browser import requires_chromium
from tests.page.pages import chat_tab

pytestmark = [pytest.mark.live, requires_chromium()]

PARAGRAPHS = "\n\n".join(f"{number} {'words ' * (number * 37 % 30)}" for number in range(130))
GROWS_LATE = """async (reply) => {
  reply.style.paddingTop = "3000px";
  for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
  const scroller = reply.closest(".scroller");
  return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
}"""
SCROLLS_UP = """async (scroller) => {
  const frame = () => new Promise((seen) => requestAnimationFrame(() => setTimeout(seen)));
  const moved = [];
  while (scroller.scrollTop > 400) {
    const { left, top, width } = scroller.getBoundingClientRect();
    const shown = document.elementFromPoint(left + width / 2, top + 100);
    const before = shown.getBoundingClientRect().top;
    scroller.scrollBy(0, -300);
    await frame();
    await frame();
    moved.push(Math.round(shown.getBoundingClientRect().top - before));
  }
  return moved;
}"""


async def test_the_end_stays_in_sight_when_it_grows_late_as_an_image_does(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.ask("say one")
        assert await opened.page.locator(".message.reply").evaluate(GROWS_LATE) < 2


async def test_what_one_reads_stays_in_its_place_while_the_text_above_gets_its_size(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.ask(f"say {PARAGRAPHS}\n")
        await opened.page.reload()
        await opened.page.wait_for_selector(".message.reply .markdown")
        moved = await opened.page.locator(".scroller").evaluate(SCROLLS_UP)
        assert len(moved) > 10
        assert all(290 < by < 310 for by in moved), moved


async def test_a_conversation_that_was_left_while_it_scrolled_raises_nothing(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.ask("say one")
        scroller = await opened.page.locator(".scroller").element_handle()
        await opened.page.click("text=Control room")
        await opened.page.locator(".scroller").wait_for(state="detached")
        await scroller.evaluate("(left) => left.dispatchEvent(new Event('scroll'))")
        assert opened.complaints == []
