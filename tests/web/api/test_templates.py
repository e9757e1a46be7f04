"""Templates over HTTP: kept, used by a message, tried out without leaving a trace."""

from pathlib import Path
from typing import Any

import pytest

from tests.web.event_source import kinds
from tests.web.gateway_server import Served, served
from transports.scripted import tokens

TEMPLATES = "/api/chatbot/templates"
FORMAL: dict[str, Any] = {
    "name": "formal",
    "system_prompt": "Be formal.",
    "model": "tiny",
    "temperature": 0.2,
    "stop": ["."],
    "options": {"top_k": 3, "min_p": 0.1},
}


async def made(gateway: Served, **template: Any) -> dict[str, Any]:
    answer = await gateway.http.post(TEMPLATES, json={**FORMAL, **template})
    assert answer.status_code == 201
    told: dict[str, Any] = answer.json()
    return told


async def test_a_template_is_made_listed_changed_and_deleted(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        formal = await made(gateway)
        listed = (await gateway.http.get(TEMPLATES)).json()
        path = f"{TEMPLATES}/{formal['id']}"
        one = (await gateway.http.get(path)).json()
        short = (await gateway.http.put(path, json={"name": "short", "max_tokens": 5})).json()
        deleted = await gateway.http.delete(path)
        gone = [await gateway.http.request(method, path) for method in ("GET", "DELETE")]
    assert listed == [formal] == [one]
    assert FORMAL.items() <= formal.items()
    assert (short["name"], short["max_tokens"], short["temperature"]) == ("short", 5, None)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert [answer.status_code for answer in gone] == [404, 404]


async def test_a_message_starts_from_its_template_and_its_own_fields_win(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        template = await made(gateway)
        await gateway.events({"content": "Hi", "template_id": template["id"]})
        own = {"system_prompt": "Be short.", "temperature": 0.9, "options": {"top_k": 7}, "model": "big"}
        await gateway.events({"content": "Hi", "template_id": template["id"], **own})
        plain, changed = gateway.transport.seen_requests
    assert [turn.content for turn in plain.turns] == ["Be formal.", "Hi"]
    assert (plain.model, plain.sampling.temperature, plain.sampling.stop) == ("tiny", 0.2, ["."])
    assert [turn.content for turn in changed.turns] == ["Be short.", "Hi"]
    assert (changed.model, changed.sampling.temperature) == ("big", 0.9)
    assert changed.sampling.stop == ["."]
    assert changed.sampling.options == {"top_k": 7, "min_p": 0.1}


async def test_a_message_with_an_unknown_template_is_404_and_keeps_nothing(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        body = {"content": "Hi", "template_id": 7}
        answers = [
            await gateway.http.post(path, json=body) for path in ("/messages/stream", "/api/chatbot/messages")
        ]
        sessions = (await gateway.http.get("/api/chatbot/sessions")).json()
    assert [answer.status_code for answer in answers] == [404, 404]
    assert sessions == []


async def test_a_template_is_tried_out_as_a_stream_that_keeps_nothing(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("It ", "works.")) as gateway:
        template = await made(gateway)
        path = f"{TEMPLATES}/{template['id']}/test"
        told = await gateway.events({"content": "Hi", "session_id": 5, "resumable": True}, path)
        words = (await gateway.http.post(f"{path}?format=words", json={"content": "Hi"})).text
        kept = (await gateway.http.get("/api/chatbot/sessions")).json()
        stopped = await gateway.http.post(f"/messages/stream/{told[0]['stream_id']}/stop")
        (request, _) = gateway.transport.seen_requests
    assert [turn.content for turn in request.turns] == ["Be formal.", "Hi"]
    assert kinds(told) == ["metadata", "chunk", "done"]
    assert (told[-1]["full_content"], told[0]["session_id"]) == ("It works.", 0)
    assert words == 'data: "It "\n\ndata: "works."\n\n'
    assert kept == []
    assert stopped.status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"{}", 422),
        (b'{"name": ""}', 422),
        (b'{"name": "x", "temperature": "hot"}', 422),
        (b'{"name": "x", "system_prompt": "' + b"y" * 33_000 + b'"}', 422),
        (b'{"name": "' + b"y" * 121 + b'"}', 422),
    ],
)
async def test_a_template_that_does_not_fit_is_refused(tmp_path: Path, body: bytes, status: int) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        headers = {"content-type": "application/json"}
        answer = await gateway.http.post(TEMPLATES, content=body, headers=headers)
        listed = (await gateway.http.get(TEMPLATES)).json()
        replaced = await gateway.http.put(f"{TEMPLATES}/1", content=body, headers=headers)
        missing = [
            await gateway.http.post(f"{TEMPLATES}/{name}/test", json={"content": "Hi"})
            for name in ("1", "x", "9" * 30, "-1")
        ]
    assert (answer.status_code, listed, replaced.status_code) == (status, [], status)
    assert [answer.status_code for answer in missing] == [404] * 4
