"""Another reply to a stored question, another question in its place, and the branch that a session shows."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.content import text_of
from gateway.contract.events import Delta, Done
from gateway.contract.requests import ChatRequest
from tests.web.event_source import kinds
from tests.web.gateway_server import STREAM, Served, served, unified_events
from transports.scripted import Step

MESSAGES = "/api/chatbot/messages"
PATH = "/api/chatbot/sessions/1/messages?path=1"


def repeating(request: ChatRequest) -> list[Step]:
    """Answer with what the model got."""
    return [[Delta("/".join(text_of(turn.content) for turn in request.turns))], [Done("stop")]]


async def shown(gateway: Served) -> list[str]:
    response = await gateway.http.get(PATH)
    assert response.status_code == 200
    return [message["content"] for message in response.json()]


async def regenerate(gateway: Served, message_id: int, **body: Any) -> list[dict[str, Any]]:
    return await gateway.events(body, f"{MESSAGES}/{message_id}/regenerate")


async def talk(gateway: Served) -> None:
    """Store messages 1 to 4: two questions with their replies."""
    await gateway.events({"content": "Hi"})
    await gateway.events({"content": "Why?", "session_id": 1})


@pytest.mark.parametrize("message_id", [3, 4])
async def test_another_reply_stands_beside_the_first(tmp_path: Path, message_id: int) -> None:
    async with served(tmp_path, repeating) as gateway:
        await talk(gateway)
        told = await regenerate(gateway, message_id, temperature=0.5)
        path = (await gateway.http.get(PATH)).json()
        sampling = gateway.transport.seen_requests[-1].sampling
    assert kinds(told) == ["metadata", "chunk", "done"]
    assert (told[0]["session_id"], told[0]["user_message_id"], told[0]["assistant_message_id"]) == (1, 3, 5)
    assert told[-1]["full_content"] == "Hi/Hi/Why?"
    assert [message["id"] for message in path] == [1, 2, 3, 5]
    assert [message["siblings"] for message in path] == [[1], [2], [3], [4, 5]]
    assert [message["sibling_index"] for message in path] == [0, 0, 0, 1]
    assert sampling.temperature == 0.5


async def test_an_edited_question_stands_beside_the_first_with_its_reply(tmp_path: Path) -> None:
    async with served(tmp_path, repeating) as gateway:
        await talk(gateway)
        second = await regenerate(gateway, 3, content="How?")
        first = await regenerate(gateway, 1, content="Hey")
        path = (await gateway.http.get(PATH)).json()
        stored = await gateway.messages()
    assert second[-1]["full_content"] == "Hi/Hi/How?"
    assert first[-1]["full_content"] == "Hey"
    assert [(message["id"], message["siblings"]) for message in path] == [(7, [1, 7]), (8, [8])]
    assert [message["parent_id"] for message in stored] == [None, 1, 2, 3, 2, 5, None, 7]
    assert stored[0]["siblings"] is None


async def test_the_session_shows_the_chosen_branch_and_goes_on_there(tmp_path: Path) -> None:
    async with served(tmp_path, repeating) as gateway:
        await talk(gateway)
        await regenerate(gateway, 1, content="Hey")
        chosen = await gateway.http.post(f"{MESSAGES}/2/choose")
        there = await shown(gateway)
        session = (await gateway.http.get("/api/chatbot/sessions/1")).json()
        told = await gateway.events({"content": "And?", "session_id": 1})
        after = (await gateway.http.get("/api/chatbot/sessions/1")).json()
    assert chosen.status_code == 200
    assert chosen.json() == session
    assert (session["leaf_id"], after["leaf_id"]) == (4, None)
    assert there == ["Hi", "Hi", "Why?", "Hi/Hi/Why?"]
    assert told[-1]["full_content"] == "Hi/Hi/Why?/Hi/Hi/Why?/And?"


async def test_a_picture_is_sent_to_the_model_again(tmp_path: Path) -> None:
    url = "data:image/png;base64,iVBORw0KGgo="
    content = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": url}}]
    async with served(tmp_path, repeating) as gateway:
        await gateway.events({"content": content})
        await regenerate(gateway, 2)
        first, second = gateway.transport.seen_requests
    assert first.turns == second.turns


async def test_it_is_resumable_idempotent_and_speaks_every_dialect(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    def script(request: ChatRequest) -> list[Step]:
        return [[Delta("It ")], go_on.wait, [Delta("is.")], [Done("stop")]]

    async with served(tmp_path, script) as gateway:
        go_on.set()
        await gateway.events({"content": "Hi"})
        go_on.clear()
        headers = {"idempotency-key": "k1"}
        path = f"{MESSAGES}/1/regenerate"
        async with gateway.http.stream("POST", path, json={}, headers=headers) as response:
            stream_id = response.headers["sluice-stream-id"]
            events = unified_events(response)
            assert [(await anext(events))["type"] for _ in range(2)] == ["metadata", "chunk"]
        go_on.set()
        rest = await gateway.http.get(f"{STREAM}/{stream_id}", headers={"last-event-id": "2-3"})
        again = await gateway.http.post(path, json={}, headers=headers)
        other = await gateway.http.post(path, json={"seed": 1}, headers=headers)
        plain = await gateway.http.post(f"{path}?format=plain")
        stored = await gateway.messages()
    assert '"content":"is."' in rest.text
    assert again.headers["sluice-stream-id"] == stream_id
    assert other.status_code == 409
    assert plain.text == "It is."
    assert len(stored) == 4


async def test_a_regenerated_reply_is_stopped(tmp_path: Path) -> None:
    def script(request: ChatRequest) -> list[Step]:
        if len(asked) == 0:
            asked.append(request)
            return [[Delta("Hello")], [Done("stop")]]
        return [[Delta("It ")], asyncio.Event().wait]

    asked: list[ChatRequest] = []
    async with served(tmp_path, script) as gateway:
        await gateway.events({"content": "Hi"})
        async with gateway.http.stream("POST", f"{MESSAGES}/2/regenerate", json={}) as response:
            events = unified_events(response)
            assert [(await anext(events))["type"] for _ in range(2)] == ["metadata", "chunk"]
            await gateway.http.post(f"{STREAM}/{response.headers['sluice-stream-id']}/stop")
            last = [event async for event in events][-1]
    assert (last["type"], last["reason"], last["full_content"]) == ("done", "user_stop", "It ")


@pytest.mark.parametrize("name", ["0", "99", "x", "1e3", "\u0661", "-1", "9" * 30])
@pytest.mark.parametrize("action", ["regenerate", "choose"])
async def test_an_unknown_message_is_refused(tmp_path: Path, name: str, action: str) -> None:
    async with served(tmp_path, repeating) as gateway:
        await talk(gateway)
        response = await gateway.http.post(f"{MESSAGES}/{name}/{action}", json={})
        assert response.status_code in {404, 422}
        assert response.status_code == 404 or action == "choose"
        assert len(await gateway.messages()) == 4


@pytest.mark.parametrize(
    "body", ['{"content": ""}', '{"content": []}', '{"content": 1}', "[]", "{", '{"seed":"x"}']
)
async def test_a_wrong_body_is_refused_and_nothing_stored(tmp_path: Path, body: str) -> None:
    async with served(tmp_path, repeating) as gateway:
        await talk(gateway)
        headers = {"content-type": "application/json"}
        response = await gateway.http.post(f"{MESSAGES}/4/regenerate", content=body, headers=headers)
        assert response.status_code in {400, 422}
        assert len(await gateway.messages()) == 4
        assert (
            await gateway.http.post(f"{MESSAGES}/4/regenerate", json={"content": None})
        ).status_code == 200


async def test_another_tab_hears_of_the_branch(tmp_path: Path) -> None:
    async with served(tmp_path, repeating) as gateway:
        await talk(gateway)
        async with gateway.http.stream("GET", "/api/chatbot/sessions/1/events") as response:
            events = unified_events(response)
            await regenerate(gateway, 4)
            await gateway.http.post(f"{MESSAGES}/4/choose")
            told = [await anext(events) for _ in range(3)]
    assert kinds(told) == ["reply_started", "reply_ended", "branch_chosen"]
    assert (told[0]["user_message_id"], told[0]["assistant_message_id"]) == (3, 5)
    assert told[2]["leaf_id"] == 4
