"""Messages of rooms over HTTP: everybody hears them, and sessions with notes work as others do."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from gateway.contract.authors import Author
from gateway.contract.content import text_of
from gateway.contract.events import Delta, Done
from gateway.contract.requests import ChatRequest
from gateway.core.room_posts import NewMessage, Posted
from tests.web.api.test_rooms import HELLO, SESSIONS, House, ask, house_of
from tests.web.event_source import kinds
from tests.web.gateway_server import STREAM, unified_events
from transports.scripted import Step

MESSAGES = "/api/chatbot/messages"


async def post(house: House, room: dict[str, Any], user: str, text: str, **said: Any) -> Posted:
    new: dict[str, Any] = {"user_id": user, "who": Author("user", user), "session_id": room["id"]}
    posts = house.gateway.assembled.gateway.posts
    return await posts.post(NewMessage(**{**new, "content": text, **said}))


async def contents(client: httpx.AsyncClient, room: dict[str, Any], *, path: bool = False) -> list[str]:
    told = await client.get(f"{SESSIONS}/{room['id']}/messages", params={"path": int(path)})
    return [message["content"] for message in told.json()]


async def test_the_session_stream_has_notes_and_questions_with_their_authors(tmp_path: Path) -> None:
    async with asyncio.timeout(60), house_of(tmp_path) as house:
        room = await house.room({"user": "ben"})
        async with house.anna.stream("GET", f"{SESSIONS}/{room['id']}/events") as response:
            events = unified_events(response)
            posted = await post(house, room, "ben", "Hello", client_id="c1")
            await ask(house.ben, room)
            note, question, started, ended = [await anext(events) for _ in range(4)]
        (stored, *_) = (await house.anna.get(f"{SESSIONS}/{room['id']}/messages")).json()
    ben = {"kind": "user", "name": "ben"}
    assert note == {
        "type": "message",
        "message_id": posted.message.message_id,
        "uuid": posted.message.uuid,
        "author": ben,
        "role": "user",
        "content": "Hello",
        "created_at": posted.message.created_at.isoformat(),
        "origin": "room",
        "client_id": "c1",
    }
    assert (question["author"], question["content"], question["client_id"]) == (ben, "Hi", None)
    assert kinds([started, ended]) == ["reply_started", "reply_ended"]
    assert (stored["origin"], stored["client_id"], stored["uuid"]) == ("room", "c1", note["uuid"])


async def test_a_reply_in_a_room_goes_on_when_its_only_reader_leaves(tmp_path: Path) -> None:
    held = asyncio.Event()
    steps: list[Step] = [[Delta("Hello ")], held.wait, [Delta("there")], [Done("stop")]]
    async with asyncio.timeout(60), house_of(tmp_path, steps, resume_grace_s=0) as house:
        room = await house.room({"user": "ben"})
        body = {"content": "Hi", "session_id": room["key"]}
        async with house.ben.stream("POST", STREAM, json=body) as response:
            stream_id = response.headers["sluice-stream-id"]
            await anext(unified_events(response))
        run = house.gateway.assembled.gateway.runs.find(stream_id, "anna")
        await contents(house.anna, room)  # meanwhile the server sees that its client has left
        held.set()
        await run.ended.wait()
        assert await contents(house.anna, room) == ["Hi", "Hello there"]


async def test_notes_stay_when_replies_are_made_anew_continued_and_questions_edited(tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def script(request: ChatRequest) -> list[Step]:
        asked.append([text_of(turn.content) for turn in request.turns])
        return [[Delta(f"R{len(asked)}")], [Done("length" if len(asked) == 1 else "stop")]]

    async with asyncio.timeout(60), house_of(tmp_path) as house:
        house.gateway.transport._script = script
        room = await house.room({"user": "ben"})
        await post(house, room, "ben", "Before")  # 1
        await ask(house.anna, room)  # 2, 3
        reply_url = f"{MESSAGES}/3"
        continued = await house.anna.post(f"{reply_url}/continue", json={})
        assert continued.status_code == 200
        await post(house, room, "ben", "After")  # 4
        refused = await house.anna.post(f"{reply_url}/continue", json={})
        assert refused.status_code == 409
        assert (await house.ben.post(f"{reply_url}/regenerate", json={})).status_code == 200  # 5
        assert await contents(house.anna, room, path=True) == ["Before", "Hi", "R3"]
        assert (await house.anna.post(f"{MESSAGES}/4/choose")).status_code == 200
        assert await contents(house.anna, room, path=True) == ["Before", "Hi", "R1R2", "After"]
        edited = await house.anna.post(f"{reply_url}/regenerate", json={"content": "Why?"})  # 6, 7
        assert edited.status_code == 200
        assert await contents(house.anna, room, path=True) == ["Before", "Why?", "R4"]
        # A note gets a reply, too.
        assert (await house.anna.post(f"{MESSAGES}/1/regenerate", json={})).status_code == 200  # 8
        assert await contents(house.anna, room, path=True) == ["Before", "R5"]
        posted = await post(house, room, "ben", "R", origin="broadcast", role="assistant", client_id="m")
        again = await house.anna.post(f"{MESSAGES}/{posted.message.message_id}/regenerate", json={})
        assert again.status_code == 409
        everything = await contents(house.anna, room)
    assert everything == ["Before", "Hi", "R1R2", "After", "R3", "Why?", "R4", "R5", "R"]
    assert asked == [
        ["ben: Before\nanna: Hi"],
        ["ben: Before\nanna: Hi", "R1"],
        ["ben: Before\nanna: Hi"],
        ["ben: Before\nanna: Why?"],
        ["Before"],
    ]


async def test_notes_are_found_exported_and_erased_with_their_session(tmp_path: Path) -> None:
    async with asyncio.timeout(60), house_of(tmp_path, HELLO) as house:
        room = await house.room({"user": "ben"})
        await post(house, room, "ben", "The lock is open")
        await post(house, room, "anna", "Seen", origin="broadcast", role="assistant", client_id="m1")
        found = (await house.anna.get(SESSIONS, params={"q": "lock is"})).json()
        markdown = (await house.anna.get(f"{SESSIONS}/{room['id']}/export?format=md")).text
        exported = (await house.anna.get(f"{SESSIONS}/{room['id']}/export")).json()["messages"]
        deletions = house.gateway.assembled.gateway.store.deletions  # type: ignore[attr-defined]
        await deletions.erase_user("ben")
        left = await contents(house.anna, room)
        await deletions.erase_user("anna")
        gone = await house.anna.get(f"{SESSIONS}/{room['id']}/messages")
    assert [session["id"] for session in found] == [room["id"]]
    assert [line.split(",")[0] for line in markdown.split("\n") if line.startswith("## ")] == [
        "## ben",
        "## You",
    ]
    assert [(message["origin"], message["role"]) for message in exported] == [
        ("room", "user"),
        ("broadcast", "assistant"),
    ]
    assert left == ["The lock is open", "Seen"]
    assert gone.status_code in (401, 404)
