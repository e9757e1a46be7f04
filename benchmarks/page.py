"""Measures the page in Chromium: first paint, frames while replies stream, scrolling, memory.

usage: python benchmarks/page.py [--tokens 20000] [--rate 1200] [--sessions 20] [--only PART]

Starts a gateway in front of a model server of its own that sends Markdown at a fixed rate. A frame is late if
its callback comes over 50 ms after the one before.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.async_api import Page

from tests.live.house import House, gateway_of
from tests.page.browser import Tab, browser, tab

TEXT = """## A heading

Some words about the *river*, with a [link](https://example.org) and `code`.

- one point
- another **point** of the list

```python
def flow(river: str) -> str:
    return f"{river} flows"  # and flows
```

| bird | colour |
|---|---|
| heron | grey |

The energy is $E = mc^2$.

"""
FRAMES = """() => {
  window.frames_ = []; let last = performance.now();
  const step = (now) => {
    window.frames_.push(now - last); last = now; window.measuring && requestAnimationFrame(step);
  };
  window.measuring = true; requestAnimationFrame(step);
}"""


def pieces(tokens: int) -> list[str]:
    found: list[str] = []
    while len(found) < tokens:
        found += [piece for word in TEXT.split(" ") for piece in (word[:3], word[3:], " ") if piece]
    return found[:tokens]


@asynccontextmanager
async def steady_model(tokens: int, rate: float) -> AsyncIterator[str]:
    """Serve replies of so many deltas at so many a second."""

    def frame(delta: dict[str, str], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"

    frames = [frame({"content": piece}) for piece in pieces(tokens)]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            if not head.startswith("POST"):
                writer.write(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"status":"ok","data":[]}')
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
            begun, sent = asyncio.get_running_loop().time(), 0
            while sent < len(frames):
                await asyncio.sleep(0.01)
                due = min(len(frames), int((asyncio.get_running_loop().time() - begun) * rate))
                writer.write(b"".join(frames[sent:due]))
                await writer.drain()
                sent = due
            writer.write(frame({}, "stop") + b"data: [DONE]\n\n")
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def frames_during(page: Page, seconds: float | None = None) -> dict[str, float]:
    await page.evaluate(FRAMES)
    if seconds is None:
        await page.wait_for_selector(".message.reply:last-child[aria-busy=false]", timeout=600_000)
    else:
        await asyncio.sleep(seconds)
    frames = sorted(await page.evaluate("(window.measuring = false, window.frames_)"))
    return {
        "frames": len(frames),
        "p50_ms": round(frames[len(frames) // 2], 1),
        "p99_ms": round(frames[int(len(frames) * 0.99)], 1),
        "max_ms": round(frames[-1], 1),
        "late": sum(one > 50 for one in frames),
    }


async def first_paint(page: Page) -> int:
    paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    return round(float(await page.evaluate(paint)))


async def five_streams(opened: Tab) -> dict[str, float]:
    """Measure frames while one reply is shown, three others are read, and the session is followed."""
    page = opened.page
    for number in range(4):
        await page.click("button:has-text('New chat')")
        await page.wait_for_selector(".welcome")
        await opened.write(f"Write much, {number}.")
        await page.wait_for_selector(".message.reply .markdown")
    assert await page.locator(".message.reply[aria-busy=true]").count() == 1
    return await frames_during(page, 10)


async def scrolling(house: House, page: Page) -> dict[str, float]:
    for number in range(1000):
        await house.http.post("/api/chatbot/sessions", json={"title": f"Session {number}"})
    await page.reload()
    await page.wait_for_selector(".session >> nth=40")
    await page.evaluate(
        "() => { const list = document.querySelector('.session-scroller');"
        " setInterval(() => list.scrollBy(0, 60), 16); }"
    )
    frames = await frames_during(page, 10)
    return {**frames, "listed": await page.locator(".session").count()}


async def hour_of_chat(opened: Tab, sessions: int) -> AsyncIterator[dict[str, float]]:
    """Ask ten questions in each session; give what the page holds in the empty chat after each."""
    page = opened.page
    devtools = await page.context.new_cdp_session(page)
    for session in range(sessions):
        for number in range(10):
            await opened.write(f"Question {session}.{number}")
            await page.locator(f".message.reply[aria-busy=false] >> nth={number}").wait_for()
        await page.click("button:has-text('New chat')")
        await page.locator(
            ".welcome"
        ).wait_for()  # a handle of an element would keep its document's old nodes
        for _ in range(3):
            await devtools.send("HeapProfiler.collectGarbage")
        heap = await devtools.send("Runtime.getHeapUsage")
        counters = await devtools.send("Memory.getDOMCounters")
        yield {
            "replies": 10 * (session + 1),
            "heap_mb": round(heap["usedSize"] / 1e6, 2),
            "nodes": counters["nodes"],
            "listeners": counters["jsEventListeners"],
        }


async def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the page in Chromium.")
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=1200)
    parser.add_argument("--sessions", type=int, default=20, help="of ten questions, for the memory")
    parser.add_argument("--only", choices=("long", "streams", "memory", "sessions"))
    options = parser.parse_args()

    async def measure(name: str, tokens: int, rate: float) -> None:
        if options.only not in (None, name):
            return
        with tempfile.TemporaryDirectory() as folder:
            async with (
                steady_model(tokens, rate) as url,
                gateway_of(Path(folder), url, REPLY_DEADLINE_S="600") as house,
                browser() as started,
                tab(started, str(house.http.base_url)) as opened,
            ):
                if name == "long":
                    print("first paint, ms:", await first_paint(opened.page))
                    await opened.write("Write much.")
                    await opened.page.wait_for_selector(".message.reply .markdown")
                    print("one long reply:", await frames_during(opened.page))
                elif name == "streams":
                    print("five streams:", await five_streams(opened))
                elif name == "memory":
                    async for held in hour_of_chat(opened, options.sessions):
                        print("memory:", held)
                else:
                    print("scrolling 1,000 sessions:", await scrolling(house, opened.page))

    await measure("long", options.tokens, options.rate)
    await measure("streams", 4000, 100)
    await measure("memory", 300, 3000)
    await measure("sessions", 1, 1)


asyncio.run(main())
