"""Clients of rooms that exist: of socket.io for Node and Python, `ws`, Chromium, and those of a chat page."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live.model_server import ModelServer, model_server
from tests.live.node import CLIENTS, installed_node, requires_node, run_node
from tests.live.python_clients import installed_python
from tests.live.readme import blocks
from tests.live.test_gateway import Gateway, running_gateway
from tests.live.test_keys import made_key
from tests.page.browser import Tab, browser, requires_chromium
from tests.web.key_holders import bearer
from tests.web.rooms.test_strangers import CASES

pytestmark = [pytest.mark.live]

TEXTS = ("So it ", "is, \r\n\u2028 ", "👩‍👩‍👧 é.")
ROOMS = "/api/chatbot/rooms"


@asynccontextmanager
async def gateway_and_room(
    tmp_path: Path, **settings: str
) -> AsyncIterator[tuple[Gateway, str, str, ModelServer]]:
    async with (
        asyncio.timeout(300),
        model_server() as model,
        running_gateway(tmp_path, LLM_SERVER_URL=model.url, **settings) as gateway,
    ):
        model.open_with(*TEXTS, end=True)
        yield gateway, str(gateway.http.base_url).rstrip("/"), await new_room(gateway), model


async def new_room(gateway: Gateway) -> str:
    return str((await gateway.http.post(ROOMS, json={})).json()["key"])


def met(transport: str) -> dict[str, Any]:
    """All that two people hear of each other."""
    text = "".join(TEXTS)
    return {
        "people": [["anna"], ["anna", "ben"]],
        "seen": [["room:join", "ben", True], ["typing:start", "ben", True], ["room:leave", "ben", True]],
        "heard": [["ben", "Hello 🙂", True, text]] * 2,
        "nobodys": "not_found",
        "transport": transport,
    }


@requires_node()
async def test_the_readmes_client_joins_asks_and_hears_the_reply(tmp_path: Path) -> None:
    page = (
        "globalThis.document = { querySelector: () => ({ append: (text) => process.stdout.write(text) }) };"
    )
    async with gateway_and_room(tmp_path) as (_, url, room, _):
        client = blocks("js")[1].replace("http://127.0.0.1:8000", url).replace("local-1f3a9c", room)
        process = await asyncio.create_subprocess_exec(
            *(await installed_node(), "--input-type=module", "-e", page + client), cwd=CLIENTS, stdout=PIPE
        )
        try:
            assert process.stdout is not None
            said = await process.stdout.readuntil(TEXTS[-1].encode())
        finally:
            process.kill()
            await process.wait()
    assert said.decode() == "local @model What did the robot say?\n" + "".join(TEXTS)


@requires_node()
async def test_two_people_meet_over_each_wire_of_node(tmp_path: Path) -> None:
    await installed_node()
    async with gateway_and_room(tmp_path) as (_, url, room, _):
        told = await run_node("node/rooms/meet.mjs", url, room)
    assert told == {
        "socket.io, websocket": met("websocket"),
        "socket.io, polling": met("polling"),
        "socket.io, upgraded": met("websocket"),
        "socket.io, namespace /ws": met("websocket"),
        "socket.io, path /ws": met("websocket"),
        "ws": met("websocket"),
        "WebSocket of Node": met("websocket"),
    }


async def test_two_people_meet_over_python_socketio(tmp_path: Path) -> None:
    python = await installed_python("newest")
    async with gateway_and_room(tmp_path) as (_, url, room, _):
        process = await asyncio.create_subprocess_exec(
            python, "rooms.py", url, room, cwd=CLIENTS / "python", stdout=PIPE
        )
        told, _ = await process.communicate()
    assert json.loads(told) == {"websocket": met("websocket"), "polling": met("polling")}


async def test_a_stranger_learns_nothing_over_python_socketio(tmp_path: Path) -> None:
    said = [[name, data] for name, cases in CASES.items() for data in cases]
    python = await installed_python("newest")
    async with asyncio.timeout(300), model_server() as model:
        keys = [await made_key(tmp_path, user) for user in ("anna", "ben")]
        settings = {"LLM_SERVER_URL": model.url, "ROOM_EVENTS_PER_S": "1000"}
        async with running_gateway(tmp_path, **settings) as gateway:
            room = (await gateway.http.post(ROOMS, json={}, headers=bearer(keys[0]))).json()["key"]
            process = await asyncio.create_subprocess_exec(
                python,
                *("room_strangers.py", str(gateway.http.base_url).rstrip("/"), room, *keys, json.dumps(said)),
                cwd=CLIENTS / "python",
                stdout=PIPE,
            )
            told, _ = await process.communicate()
    for answers in json.loads(told).values():
        assert [answer["error"]["code"] for answer in answers["anothers"]]
        assert answers["anothers"] == answers["nobodys"]
        assert (answers["owner"], answers["stranger"]) == ([], [])


@requires_chromium()
async def test_a_page_in_chromium_and_another_client_meet(tmp_path: Path) -> None:
    async with gateway_and_room(tmp_path) as (_, url, room, _), browser() as chromium:
        page = Tab(await chromium.new_page()).page
        await page.goto(f"{url}/health")
        told = await page.evaluate(IN_BROWSER, [url.replace("http", "ws") + "/ws", room])
    assert told == {"joined": True, "said": "Hello", "reply": "".join(TEXTS)}


IN_BROWSER = """([url, roomId]) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  const told = {};
  const send = (event, data, ack) => socket.send(JSON.stringify({ event, data, ack }));
  socket.onopen = () => send("room:join", { roomId }, 1);
  socket.onmessage = ({ data: text }) => {
    const { event, data } = JSON.parse(text);
    if (event === "ack") {
      told.joined = data.ok;
      send("message:send", { content: "Hello" });
    }
    if (event === "message:new") told.said = data.content;
    if (event === "reply:start") told.reply = data.content;
    if (event === "reply:chunk") told.reply += data.content;
    if (event === "reply:done") resolve(told);
  };
})"""


class Pages:
    """Chat pages in one process of Node. heard: the events of each, which were not looked for yet."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._heard: list[dict[str, Any]] = []

    async def tell(self, client: str, **command: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"client": client, **command}).encode() + b"\n")
        await self._process.stdin.drain()

    async def until(self, client: str, event: str) -> Any:
        """Return the data of the page's next event with this name."""
        assert self._process.stdout is not None
        while True:
            for told in self._heard:
                if (told["client"], told["event"]) == (client, event):
                    self._heard.remove(told)
                    return told.get("data")
            line = await self._process.stdout.readline()
            assert line, "the pages have ended"
            self._heard.append(json.loads(line))


@asynccontextmanager
async def chat_pages(url: str) -> AsyncIterator[Pages]:
    process = await asyncio.create_subprocess_exec(
        await installed_node(), "node/rooms/chat_page.mjs", url, cwd=CLIENTS, stdin=PIPE, stdout=PIPE
    )
    try:
        yield Pages(process)
    finally:
        process.kill()
        await process.wait()


@requires_node()
async def test_a_chat_page_that_exists_goes_on_over_a_restart_of_the_gateway(tmp_path: Path) -> None:
    text = "".join(TEXTS)
    await installed_node()
    async with asyncio.timeout(300), model_server() as model:
        model.open_with(*TEXTS, end=True)
        async with running_gateway(tmp_path, LLM_SERVER_URL=model.url) as gateway:
            url, room = str(gateway.http.base_url).rstrip("/"), await new_room(gateway)
            async with chat_pages(url) as pages:
                await pages.tell("anna", open=room)
                await pages.until("anna", "joined")
                await pages.tell("ben", open=room)
                assert await pages.until("anna", "room:join") == who(room, "ben")
                await pages.until("ben", "joined")
                await _talk(pages, room, text)
                gateway.program.process.kill()
                for page in ("anna", "ben"):
                    assert await pages.until(page, "disconnect") in {"transport close", "transport error"}
                port = str(gateway.http.base_url.port)
                async with running_gateway(tmp_path, LLM_SERVER_URL=model.url, PORT=port):
                    for page in ("anna", "ben"):
                        await pages.until(page, "joined")
                    await _talk(pages, room, text)


def who(room: str, name: str) -> dict[str, Any]:
    return {"roomId": room, "userId": name, "author": {"kind": "user", "name": name}}


async def _talk(pages: Pages, room: str, text: str) -> None:
    """Let Ben say what such a page says, and look what Anna hears."""
    await pages.tell("ben", emit=["typing:start", {"roomId": room}])
    assert await pages.until("anna", "typing:start") == who(room, "ben")
    await pages.tell("ben", emit=["typing:stop"])
    assert await pages.until("anna", "typing:stop") == who(room, "ben")
    await pages.tell("ben", emit=["presence:update", {"status": "away", "metadata": {"since": 7}}])
    away = await pages.until("anna", "presence:update")
    assert (away["userId"], away["status"], away["metadata"]) == ("ben", "away", {"since": 7})
    await pages.tell("ben", emit=["presence:update", {"status": "online"}])
    assert (await pages.until("anna", "presence:update"))["status"] == "online"
    await pages.tell("ben", emit=["message:send", {"content": "Without a room"}])
    await pages.tell("ben", emit=["message:send", {"roomId": room, "content": "In the room"}])
    for page in ("anna", "ben"):
        said = [await pages.until(page, "message:new") for _ in range(2)]
        assert [message["content"] for message in said] == ["Without a room", "In the room"]
        assert {message["userId"] for message in said} == {"ben"}
    await pages.tell("ben", ask="What is it?")
    asked = await pages.until("ben", "asked")
    assert asked["content"] == text
    cast = await pages.until("anna", "message:new")
    told = {"id": asked["id"], "role": "assistant", "content": text}
    assert (cast["origin"], cast["roomId"], cast["message"]) == ("broadcast", room, told)
    assert (cast["id"], cast["role"], cast["content"]) == (asked["id"], "assistant", text)
