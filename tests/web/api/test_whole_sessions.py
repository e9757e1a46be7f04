"""Operations on whole sessions over HTTP: rename, delete and export."""

import asyncio
from pathlib import Path
from typing import Any

from gateway.contract.authors import Author
from gateway.contract.events import Delta
from tests.store.exchanges import question
from tests.web.gateway_server import served
from transports.scripted import tokens

SESSION = "/api/chatbot/sessions/1"
AWKWARD = "# A heading\r\n> ```\n\n<script>\u2028 *and* 🙂"


async def test_a_session_is_renamed_and_found_by_its_new_title(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        await gateway.events({"content": "Boats"})
        renamed = (await gateway.http.patch(SESSION, json={"title": "Rivers"})).json()
        found = (await gateway.http.get("/api/chatbot/sessions", params={"q": "river"})).json()
        refused = [
            (await gateway.http.patch(path, json=body)).status_code
            for path, body in (
                (SESSION, {}),
                (SESSION, {"title": ""}),
                (SESSION, {"title": "x" * 121}),
                ("/api/chatbot/sessions/9", {"title": "x"}),
            )
        ]
    assert (renamed["title"], found) == ("Rivers", [renamed])
    assert refused == [422, 422, 422, 404]


async def test_a_deleted_session_stops_its_replies_and_takes_its_messages_along(tmp_path: Path) -> None:
    said = asyncio.Event()

    def script(_: object) -> Any:
        return [[Delta("on and on ")], _set(said)]

    async with served(tmp_path, script) as gateway, asyncio.TaskGroup() as group:
        reading = group.create_task(gateway.events({"content": "Hi", "resumable": True}))
        await said.wait()
        deleted = await gateway.http.delete(SESSION)
        told = await reading
        await gateway.transport.idle()
        stream_id = told[0]["stream_id"]
        missing = [
            (await gateway.http.request(method, path)).status_code
            for method, path in (
                ("GET", SESSION),
                ("DELETE", SESSION),
                ("GET", f"{SESSION}/messages"),
                ("GET", f"{SESSION}/export"),
            )
        ]
        again = await gateway.http.post("/messages/stream", json={"content": "Hi", "session_id": 1})
        await gateway.http.post(f"/messages/stream/{stream_id}/stop")
    assert deleted.status_code == 204
    assert (told[-1]["type"], told[-1]["reason"]) == ("done", "user_stop")
    assert (missing, again.status_code) == ([404] * 4, 404)


async def test_a_session_is_taken_away_as_json(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Rivers ", "run.")) as gateway:
        for _ in range(120):
            await gateway.events({"content": "Hi", "session_id": 1 if _ else None})
        answer = await gateway.http.get(f"{SESSION}/export")
        messages = (await gateway.http.get(f"{SESSION}/messages", params={"limit": 1000})).json()
        session = (await gateway.http.get(SESSION)).json()
    assert answer.headers["content-disposition"] == 'attachment; filename="session-1.json"'
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"session": session, "messages": messages}
    assert len(messages) == 240


async def test_a_session_is_taken_away_as_markdown_that_no_message_breaks(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens(AWKWARD)) as gateway:
        await gateway.events({"content": AWKWARD})
        answer = await gateway.http.get(f"{SESSION}/export", params={"format": "md"})
        unknown = await gateway.http.get(f"{SESSION}/export", params={"format": "pdf"})
    headings = [line for line in answer.text.split("\n") if line.startswith("#")]
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert len(headings) == 3
    assert headings[1].startswith("## You, ")
    assert headings[2].startswith("## Assistant, ")
    assert answer.text.count("> > ```\n>\n> <script>\u2028 *and* 🙂\n") == 2
    assert unknown.status_code == 422


async def test_history_and_exports_name_the_author_and_the_parent_of_every_message(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("yes")) as gateway:
        await gateway.events({"content": "Hi"})
        await gateway.assembled.gateway.store.begin(
            question(1, content="beep", author=Author("device", "robot-1"))
        )
        history = (await gateway.http.get(f"{SESSION}/messages")).json()
        exported = (await gateway.http.get(f"{SESSION}/export")).json()["messages"]
        markdown = (await gateway.http.get(f"{SESSION}/export", params={"format": "md"})).text
    assert exported == history
    assert [message["author"] for message in history] == [
        {"kind": "user", "name": "local"},
        {"kind": "assistant", "name": None},
        {"kind": "device", "name": "robot-1"},
        {"kind": "assistant", "name": None},
    ]
    headings = [line.split(",")[0] for line in markdown.split("\n") if line.startswith("## ")]
    assert headings == ["## You", "## Assistant", "## robot-1", "## Assistant"]


def _set(event: asyncio.Event) -> Any:
    async def said() -> None:
        event.set()

    return said
