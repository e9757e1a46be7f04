"""The chat of the page in Chromium, with a real gateway."""

import asyncio
import json
import re
import signal
from base64 import b64decode
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import FilePayload, Route

from tests.live.house import gateway_of, until
from tests.live.looking import look_again
from tests.live.model_server import model_server
from tests.live.node import requires_node
from tests.page.axe import grave_findings
from tests.page.browser import WRITES, Tab, browser, requires_chromium, tab
from tests.page.pages import WITHIN_S, chat_tab, key_of, long_reply, uploads

pytestmark = [pytest.mark.live, requires_chromium()]

HOSTILE = (
    "<script>window.broken = 1</script> <img src=x onerror='window.broken = 1'>"
    " [a](javascript:window.broken=1) <svg onload=window.broken=1>"
    ' <a href="http://example.invalid/">link</a> ![pixel](http://example.invalid/pixel.png)'
)

HOLD_TIMERS_OF_100_MS = """() => {
  const timeout = window.setTimeout;
  window.held = [];
  window.setTimeout = (then, ms, ...more) => (ms === 100 ? held.push(then) : timeout(then, ms, ...more));
}"""


async def test_a_question_gets_the_reply_that_is_stored(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        await opened.ask("think rivers")
        (stored,) = await house.messages()
        assert (await opened.shown())[-1].split() == stored["content"].split()
        assert await opened.shown(".reasoning") == ["Thoughts"]
        assert await opened.shown(".question .bubble") == ["think rivers"]
        assert opened.complaints == []


async def test_a_question_costs_few_requests(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.ask("say one")
        await opened.named()
        await opened.page.wait_for_selector(".session a[title='say one']")
        await opened.page.evaluate(HOLD_TIMERS_OF_100_MS)
        asked: list[str] = []
        opened.page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
        await opened.ask("say two")
        while len([one for one in asked if "/messages?" in one]) < 2:  # and a look for a second page
            await look_again()
        assert await opened.page.evaluate("held.length") == 1
        assert not [one for one in asked if "/sessions?" in one or "/rooms" in one]
        async with opened.page.expect_response("**/sessions?*"):
            await opened.page.evaluate("held.pop()()")
        assert len([one for one in asked if "/messages?" in one]) == 2


async def test_it_shows_how_much_of_the_context_is_taken(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        await opened.ask("say one")
        (stored,) = await house.messages()
        taken = stored["usage"]["prompt_tokens"] + stored["usage"]["completion_tokens"]
        await opened.page.wait_for_selector(f".gauge >> text={taken} of 4,096 tokens")
        assert opened.complaints == []


async def test_stop_keeps_the_text(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        await opened.write("hold rivers")
        await opened.page.wait_for_selector(".message.reply .markdown")
        await opened.page.click("button[aria-label=Stop]")
        await opened.ended()
        (stored,) = await house.messages()
        assert (stored["status"], stored["reason"]) == ("cancelled", "user_stop")
        (figures,) = await opened.shown(".reply .figures")
        assert figures.startswith("HTTP ")  # a screen reader would read one word
        assert "stopped" in figures


async def test_another_reply_and_another_question_are_branches(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.ask("say one")
        await opened.page.click("button[aria-label='Another reply']")
        await opened.page.wait_for_selector(".reply .branches >> text=2/2")
        await opened.ended()
        await opened.page.click(".reply button[aria-label='The one before']")
        await opened.page.wait_for_selector(".reply .branches >> text=1/2")
        await opened.page.hover(".question")
        await opened.page.click(".question button[aria-label=Edit]")
        await opened.page.fill(".question textarea", "say two")
        await opened.page.press(".question textarea", "Enter")
        await opened.page.wait_for_selector(".question .branches >> text=2/2")
        await opened.ended()
        assert await opened.shown(".question .bubble") == ["say two"]
        assert (await opened.shown())[0].startswith("About two")
        await opened.page.hover(".question")
        await opened.page.click(".question button[aria-label='The one before']")
        await opened.page.wait_for_selector(".question .branches >> text=1/2")
        assert await opened.shown(".question .bubble") == ["say one"]
        assert opened.complaints == []


async def test_a_reload_in_the_middle_goes_on(tmp_path: Path) -> None:
    async with long_reply(tmp_path) as (model, opened):
        await opened.page.reload()
        await opened.page.wait_for_selector(".message.reply[aria-busy=true] .markdown")
        model.say("the end.")
        model.end()
        await opened.ended()
        assert (await opened.shown())[-1] == "Once the end."


async def test_a_lost_network_is_shown_and_heals_by_itself(tmp_path: Path) -> None:
    async with long_reply(tmp_path) as (model, opened):
        await opened.page.context.set_offline(True)
        await opened.page.wait_for_selector("text=The connection is lost")
        model.say("the end.")
        model.end()
        await opened.page.context.set_offline(False)
        await opened.ended()
        assert (await opened.shown())[-1] == "Once the end."


async def test_tabs_of_a_session_show_each_other_and_that_somebody_types(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.ask("say one")
        other = Tab(await opened.page.context.new_page())
        await other.page.goto(opened.page.url)
        await other.ended()
        for one in (opened, other):
            await one.page.wait_for_selector("text=Open in another tab")
        await other.page.fill(WRITES, "say t")
        await opened.page.wait_for_selector("text=Another tab is typing")
        await other.page.close(run_before_unload=True)
        await opened.page.wait_for_selector(".presence", state="detached")


async def test_a_reply_goes_on_while_another_session_is_shown(tmp_path: Path) -> None:
    async with long_reply(tmp_path, RESUME_GRACE_S="0") as (model, opened):
        (first,) = model.replies
        await opened.new_chat()
        await opened.page.wait_for_selector(".session .dot.busy")
        model.open_with("Other ", end=True)
        await opened.ask("Another")
        assert not first.gone.is_set()
        model.say("upon ")
        await opened.page.click(".session a[title=Once]")
        await opened.page.wait_for_selector("[aria-busy=true] >> text=Once upon")
        model.say("a time.")
        model.end()
        await opened.ended()
        assert await opened.shown() == ["Once upon a time."]
        await opened.page.wait_for_selector(".session .dot.busy", state="detached")
        assert opened.complaints == []


NOTE_LOSSES = """() => new MutationObserver((changes) => {
  if (changes.some(({removedNodes}) => removedNodes.length)) window.lost = true;
}).observe(document.querySelector(".column[role=log]"), {childList: true})"""


async def test_a_question_asked_while_messages_are_loaded_stays(tmp_path: Path) -> None:
    loaded, may_load = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        response = await route.fetch()
        loaded.set()
        await may_load.wait()
        await route.fulfill(response=response)

    async with long_reply(tmp_path) as (model, opened):
        loads = re.compile(r"/messages\?.*path=1")
        await opened.page.route(loads, hold, times=1)
        model.end()
        await loaded.wait()
        await opened.write("Once more")
        await opened.page.wait_for_selector(".message.reply[aria-busy=true] .markdown")
        await opened.page.evaluate(NOTE_LOSSES)
        async with opened.page.expect_event(
            "requestfinished", lambda request: bool(loads.search(request.url))
        ):
            may_load.set()
        model.end()
        await opened.ended()
        assert await opened.page.evaluate("window.lost === undefined")
        assert await opened.shown(".question .bubble") == ["Once", "Once more"]


async def test_a_second_tab_follows_live(tmp_path: Path) -> None:
    async with long_reply(tmp_path) as (model, opened):
        other = Tab(await opened.page.context.new_page())
        await other.page.goto(opened.page.url)
        await other.page.wait_for_selector(".message.reply[aria-busy=true] .markdown")
        model.say("the end.")
        model.end()
        for one in (opened, other):
            await one.ended()
            assert (await one.shown())[-1] == "Once the end."
        model.open_with("Again.", end=True)
        await other.ask("again")
        await opened.page.wait_for_selector("text=Again.")
        assert await opened.shown(".question .bubble") == ["Once", "again"]


async def test_text_is_never_run(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(180),
        model_server() as model,
        gateway_of(tmp_path, model.url) as house,
        browser() as started,
        tab(started, str(house.http.base_url)) as opened,
    ):
        requests: list[str] = []
        opened.page.on("request", lambda request: requests.append(request.url))
        model.open_with(HOSTILE, end=True)
        await opened.ask(HOSTILE)
        await opened.page.reload()
        await opened.ended()
        assert await opened.page.evaluate("window.broken === undefined")
        assert "<script>" in (await opened.shown())[-1]
        assert (
            await opened.page.locator(".message img, .message svg:not(.icon), .message script").count() == 0
        )
        assert not [url for url in requests if "example.invalid" in url]
        assert opened.complaints == []


async def test_tool_calls_and_reasoning_are_text(tmp_path: Path) -> None:
    async with long_reply(tmp_path) as (model, opened):
        model.end()
        await opened.ended()
        tool, arguments = HOSTILE[:100], json.dumps({"city": HOSTILE})
        model.call(tool, arguments)
        await opened.ask("call it")
        for _ in range(2):
            (summary,) = await opened.shown(".tool summary")
            assert summary == tool.strip()
            await opened.page.click(".tool summary")
            assert json.loads((await opened.shown(".tool pre"))[0]) == {"city": HOSTILE}
            assert await opened.page.locator(".reply :is(img, svg:not(.icon), script)").count() == 0
            await opened.page.reload()
            await opened.ended()
        assert await opened.page.evaluate("window.broken === undefined")
        assert opened.complaints == []


async def test_a_formula_has_its_font_and_an_open_one_is_shown_as_it_is_written(tmp_path: Path) -> None:
    async with long_reply(tmp_path) as (model, opened):
        model.say("upon $x$\n\n$$ \\left( \\frac{1}{\\sqrt{")
        await opened.page.wait_for_selector(".maths-open >> text=\\left( \\frac{1}{\\sqrt{")
        model.say("2}} \\right) $$")
        model.end()
        await opened.ended()
        await opened.page.wait_for_selector(".maths.display mfrac")
        loaded = await opened.page.evaluate(
            "document.fonts.load('16px \"STIX Two Math\"').then(all => all.length)"
        )
        assert loaded == 1
        assert await opened.page.locator(".maths-open").count() == 0
        assert opened.complaints == []


async def test_a_stopped_reply_goes_on_in_its_place(tmp_path: Path) -> None:
    async with long_reply(tmp_path) as (model, opened):
        await opened.page.keyboard.press("Escape")
        await opened.ended()
        model.open_with("upon a time.", end=True)
        await opened.page.focus("text=Continue")
        await opened.page.keyboard.press("Enter")
        await opened.page.wait_for_selector("text=Once upon a time.")
        assert await opened.page.locator(f"{WRITES}:focus").count() == 1
        await opened.ended()
        assert await opened.shown() == ["Once upon a time."]
        await opened.page.reload()
        await opened.ended()
        assert await opened.shown() == ["Once upon a time."]
        assert opened.complaints == []


async def test_a_gateway_that_is_killed_and_comes_back_is_an_interruption(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(WITHIN_S),
        model_server() as model,
        browser() as started,
        gateway_of(tmp_path, model.url) as house,
        tab(started, str(house.http.base_url)) as opened,
    ):
        model.open_with("Once ")
        await opened.write("Once")
        await opened.page.wait_for_selector(".message.reply .markdown")
        await house.program.end(signal.SIGKILL)
        await opened.page.wait_for_selector("text=The connection is lost")
        async with gateway_of(tmp_path, model.url, PORT=str(house.http.base_url.port)):
            await opened.ended()
            await opened.page.wait_for_selector(".failure >> text=ended before")
            await opened.page.reload()
            await opened.page.wait_for_selector(".failure >> text=ended before")
            model.open_with("upon a time.", end=True)
            await opened.ask("again")
            assert (await opened.shown())[-1] == "upon a time."


@requires_node()
@pytest.mark.usefixtures("axe")
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_serious(tmp_path: Path, theme: Literal["light", "dark"]) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.page.emulate_media(color_scheme=theme)
        await opened.ask("think rivers")
        await opened.page.click("text=Settings")
        for width in (1280, 390):
            await opened.page.set_viewport_size({"width": width, "height": 800})
            assert await grave_findings(opened.page) == []


AWKWARD = {
    "one line of 1 MB": "word " * 200_000,
    "10,000 headings": "".join(f"# {number}\n" for number in range(10_000)),
    "open fence": "```python\nfor x in y:\n  print(x)\n" * 3,
    "right to left": "مرحبا بالعالم **كيف** الحال",
    "NUL": "a\x00b\u202ec",
    "half a table": "| a | b |\n|---|--",
    "open maths": "$$ \\frac{1}{" + "{" * 3000,
    "deep quotes": ">" * 500 + " x",
    "deep lists": "".join(f"{' ' * 2 * depth}- x\n" for depth in range(200)),
}


@pytest.mark.parametrize("text", AWKWARD.values(), ids=AWKWARD)
async def test_awkward_text_is_shown_and_the_page_goes_on(tmp_path: Path, text: str) -> None:
    pieces = [text[start : start + 20_000] for start in range(0, len(text), 20_000)]
    async with (
        asyncio.timeout(WITHIN_S),
        model_server() as model,
        gateway_of(tmp_path, model.url) as house,
        browser() as started,
        tab(started, str(house.http.base_url)) as opened,
    ):
        model.open_with(*pieces, end=True)
        await opened.ask("awkward")
        await opened.page.locator(".blocks:empty").first.wait_for(state="detached")  # all of it is drawn
        letters = re.sub(r"[\s#>|`$*{}\\-]", "", text).replace("\0", "\ufffd")
        (shown,) = await opened.page.locator(".message.reply .markdown").all_text_contents()
        assert re.sub(r"[\s#>|`$*{}\\-]", "", shown.replace("pythonCopy", "python"))[:1000] == letters[:1000]
        model.open_with("Fine.", end=True)
        await opened.ask("and now?")
        assert (await opened.shown())[-1] == "Fine."
        assert opened.complaints == []


async def test_long_code_is_code_and_can_be_copied(tmp_path: Path) -> None:
    code = "".join(f"line {number}\n" for number in range(5000))
    async with long_reply(tmp_path) as (model, opened):
        model.say(f"upon a time:\n\n```text\n{code}```\n")
        model.end()
        await opened.ended()
        assert await opened.page.locator(".code code").text_content() == code.rstrip()
        assert await opened.shown(".copy-code") == ["Copy"]


PNG = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


async def test_files_are_uploaded_named_in_the_question_and_kept_by_it(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        page, name = opened.page, "<img src=x onerror='window.broken=1'>.txt"
        files: list[FilePayload] = [
            {"name": "river.png", "mimeType": "image/png", "buffer": PNG},
            {"name": name, "mimeType": "text/plain", "buffer": b"hello"},
            {"name": "boat.zip", "mimeType": "application/zip", "buffer": b"PK\x03\x04\xff"},
        ]
        await page.set_input_files("input[type=file]", files)
        await page.wait_for_selector("[role=alert] >> text=boat.zip: must be a PNG")
        await page.wait_for_selector(".chip[aria-busy=true]", state="detached")
        assert await opened.shown(".composer .chip") == ["river.png", name]
        async with page.expect_request("**/messages/stream") as asked:
            await opened.ask("look here")
        body = (await asked.value).post_data_json
        parts = body["content"] if body else []
        assert [part["type"] for part in parts] == ["text", "attachment", "attachment"]
        assert (await opened.shown())[-1].startswith("1 image.")
        await page.reload()
        await opened.ended()
        assert await page.locator(".question img").count() == 1
        assert await opened.shown(".question .chip") == [name]
        await page.hover(".question")
        await page.click(".question button[aria-label=Edit]")
        await page.fill(".question textarea", "look again")
        await page.press(".question textarea", "Enter")
        await page.wait_for_selector(".question .branches >> text=2/2")
        await opened.ended()
        assert (await opened.shown())[-1].startswith("1 image.")
        await until(partial(uploads, house), [])
        assert await page.evaluate("window.broken === undefined")
        (complaint,) = opened.complaints
        assert "status of 422" in complaint


GIVE_FILE = """([selector, kind, name]) => {
  const files = new DataTransfer();
  files.items.add(new File(["hello"], name, {type: "text/plain"}));
  const options = {bubbles: true, cancelable: true};
  const event = kind === "drop" ? new DragEvent(kind, {...options, dataTransfer: files})
    : new ClipboardEvent(kind, {...options, clipboardData: files});
  document.querySelector(selector).dispatchEvent(event);
  return event.defaultPrevented;
}"""


async def test_files_can_be_dropped_and_pasted(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        for selector, kind in (("main", "drop"), (WRITES, "paste")):
            assert await opened.page.evaluate(GIVE_FILE, [selector, kind, f"{kind}.txt"])
            await opened.page.wait_for_selector(f".composer .chip[aria-busy=false] >> text={kind}.txt")
        await opened.ask("say hello")
        assert await opened.shown(".question .chip") == ["drop.txt", "paste.txt"]
        await opened.page.click("text=Control room")
        await opened.page.wait_for_selector("h1 >> text=Control room")
        assert await opened.page.evaluate(GIVE_FILE, ["main", "drop", "beside.txt"])  # the page is not left
        assert opened.complaints == []


async def test_files_that_are_left_unsent_are_deleted(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        file: FilePayload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x"}
        await opened.page.set_input_files("input[type=file]", [file])
        await opened.page.wait_for_selector(".chip[aria-busy=false]")
        assert len(await uploads(house)) == 1
        await opened.page.click("text=Templates")
        await until(partial(uploads, house), [])


async def test_a_file_that_is_too_large_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    async with chat_tab(tmp_path, MAX_ATTACHMENT_BYTES="4096") as (house, opened):
        sent: list[str] = []
        opened.page.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
        files: list[FilePayload] = [
            {"name": name, "mimeType": "text/plain", "buffer": size * b"x"}
            for name, size in (("large.txt", 5120), ("small.txt", 4096))
        ]
        await opened.page.set_input_files("input[type=file]", files)
        await opened.page.wait_for_selector(
            "[role=alert] >> text=large.txt: has 5 KB; a file may have at most 4 KB."
        )
        await opened.page.wait_for_selector(".chip[aria-busy=false] >> text=small.txt")
        assert len([each for each in sent if each.startswith("POST") and "attachments" in each]) == 1
        assert len(await uploads(house)) == 1
        assert opened.complaints == []


async def test_a_question_that_is_stopped_before_the_gateway_is_reached_can_be_taken_back(
    tmp_path: Path,
) -> None:
    async with chat_tab(tmp_path) as (_, opened):
        await opened.page.context.set_offline(True)
        await opened.write("say one")
        await opened.page.wait_for_selector("text=The question is sent as soon as the gateway answers")
        await opened.page.click("button[aria-label=Stop]")
        await opened.page.click("text=Take back")
        await opened.composes("say one")
        await opened.page.context.set_offline(False)
        await opened.ask("say two")
        assert await opened.shown(".question .bubble") == ["say two"]


async def test_a_refused_question_can_be_taken_back(tmp_path: Path) -> None:
    async with chat_tab(tmp_path, MAX_CONTENT_CHARS="10") as (house, opened):
        await opened.write("say something much longer")
        await opened.page.click("text=Take back")
        await opened.composes("say something much longer")
        assert await opened.page.locator(".message").count() == 0
        assert await house.messages() == []


async def test_sessions_are_renamed_found_and_deleted(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        await opened.ask("say one")
        await opened.new_chat()
        await opened.ask("say two")
        await opened.page.wait_for_selector(".session >> text=say two")
        await opened.page.hover(".session >> nth=0")
        await opened.page.click(".session >> nth=0 >> button")
        await opened.page.click("text=Rename")
        await opened.page.fill(".rename", HOSTILE[:100])
        await opened.page.press(".rename", "Enter")
        await opened.page.wait_for_selector(".session a[title^='<script>']")
        await opened.page.fill(".search input", "say one")
        await opened.page.wait_for_selector(".session a[title^='<script>']", state="detached")
        assert await opened.shown(".session a") == ["say one"]
        await opened.page.hover(".session >> nth=0")
        await opened.page.click(".session >> nth=0 >> button")
        await opened.page.click(".menu .danger")
        await opened.page.click(".menu .danger")
        await opened.page.wait_for_selector("text=Nothing found.")
        assert len((await house.http.get("/api/chatbot/sessions")).json()) == 1
        assert opened.complaints == []


async def test_with_keys_it_asks_for_one(tmp_path: Path) -> None:
    key = await key_of(tmp_path)
    async with chat_tab(tmp_path, ready="input[type=password]") as (_, opened):
        await opened.page.fill("input[type=password]", "sk-wrong")
        await opened.page.click("text=Enter")
        await opened.page.wait_for_selector("[role=alert] >> text=unknown or revoked")
        await opened.page.fill("input[type=password]", f"{key}\u200b")
        await opened.page.click("text=Enter")
        await opened.page.wait_for_selector("[role=alert] >> text=copy it again")
        await opened.page.fill("input[type=password]", key)
        await opened.page.click("text=Enter")
        await opened.page.wait_for_selector(".composer textarea")
        await opened.ask("say hello")
        assert await opened.page.evaluate("localStorage.getItem('sluice-key')") is None


async def test_a_template_is_made_tried_and_used(tmp_path: Path) -> None:
    async with chat_tab(tmp_path) as (house, opened):
        page = opened.page
        await page.click("text=Templates")
        await page.fill("label:has-text('Name') input", "Formal <b>")
        await page.fill("label:has-text('System prompt') textarea", "Be formal.")
        await page.click("button:has-text('Save')")
        await page.fill("[aria-label=Question]", "say hello")
        await page.click("button:has-text('Try')")
        await page.wait_for_selector(".trial .markdown >> text=About hello")
        assert await house.messages() == []
        await page.click("button:has-text('New chat')")
        await page.click("button:has-text('Settings')")
        await page.select_option("label:has-text('Template') select", label="Formal <b>")
        await opened.ask("say yes")
        assert opened.complaints == []
        (template,) = (await house.http.get("/api/chatbot/templates")).json()
        assert template["system_prompt"] == "Be formal."
