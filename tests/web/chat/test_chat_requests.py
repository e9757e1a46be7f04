"""Requests of the lunar, printer and words frontends: recognized by their fields, refused in their shape."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.errors import NoWorker
from gateway.contract.transport import Abilities, TransportInfo
from tests.web.gateway_server import Served, served
from transports.scripted import ScriptedTransport, tokens

CHAT = "/api/chat/stream"
WORDS = "/api/v1/chat/unified/stream"


async def post(gateway: Served, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers.setdefault("content-type", "application/json")
    response = await gateway.http.post(path, content=content, headers=headers)
    return response.status_code, response.json()


@pytest.mark.parametrize(
    ("body", "first"),
    [
        ({"message": "Hi"}, b'data: {"type":"token"'),
        ({"message": "Hi", "user_message": None}, b'data: {"type":"token"'),
        ({"message": "Hi", "conversation_id": 7, "model": 5, "temperature": "hot"}, b'data: {"type":"token"'),
        ({"user_message": "Hi"}, b"event: stream_start"),
        ({"user_message": "Hi", "message": None, "conversation_id": None}, b"event: stream_start"),
        ({"user_message": "Hi", "conversation_id": "", "project_id": 3}, b"event: stream_start"),
    ],
)
async def test_the_fields_tell_who_asks(tmp_path: Path, body: dict[str, Any], first: bytes) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        response = await gateway.http.post(CHAT, json=body)
        question = (await gateway.messages())[0]
    assert response.status_code == 200
    assert response.content.startswith(first)
    assert question["content"] == "Hi"


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (CHAT, {}, 422, "message: is required, or user_message"),
        (CHAT, {"content": "Hi"}, 422, "message: is required, or user_message"),
        (CHAT, {"message": "a", "user_message": "b"}, 422, "must not be sent together"),
        (CHAT, {"message": " \n"}, 422, "message: must not be empty"),
        (CHAT, {"user_message": ""}, 422, "user_message: must not be empty"),
        (CHAT, {"message": "x" * 101}, 422, "message: must have at most 100 characters"),
        (CHAT, {"user_message": "x" * 101}, 422, "user_message: must have at most 100 characters"),
        (CHAT, {"message": ["Hi"]}, 422, "message"),
        (CHAT, ["Hi"], 422, "The request does not fit"),
        (CHAT, b"{", 400, "not JSON"),
        (CHAT, b"[" * 100_000, 400, "not JSON"),
        (CHAT, b'{"message": "\xff"}', 400, "not JSON"),
        (CHAT, b"", 400, "not JSON"),
        (CHAT, {"user_message": "Hi", "conversation_id": "not-a-uuid"}, 404, "No such conversation"),
        (CHAT, {"user_message": "Hi", "conversation_id": 7}, 404, "No such conversation"),
        (CHAT, {"user_message": "Hi", "conversation_id": [1]}, 404, "No such conversation"),
        (WORDS, {}, 422, "message"),
        (WORDS, {"message": None, "user_id": "ann"}, 422, "message"),
        (WORDS, {"message": ""}, 422, "message: must not be empty"),
        (WORDS, {"message": "x" * 101}, 422, "message: must have at most 100 characters"),
        (WORDS, {"message": "Hi", "user_id": {}}, 422, "user_id"),
        (WORDS, {"message": "Hi", "user_id": "x" * 257}, 422, "user_id"),
    ],
)
async def test_a_request_that_cannot_be_meant_is_refused_as_these_frontends_read_it(
    tmp_path: Path, path: str, body: Any, status: int, words: str
) -> None:
    async with served(tmp_path, lambda _: tokens("x"), max_content_chars=100) as gateway:
        told = await post(gateway, path, body)
        sessions = (await gateway.http.get("/api/chatbot/sessions")).json()
    assert told[0] == status
    assert words in told[1]["detail"]
    # Frontends read `error` or `detail`; programs read `code`.
    assert told[1]["error"] == told[1]["detail"]
    assert told[1]["code"] in {"bad_request", "invalid", "not_found"}
    assert sessions == []


@pytest.mark.parametrize(
    "body", [b'{"message": NaN}', b'{"message": "Hi", "x": NaN}', b'{"message": "Hi", "x": 1e999}']
)
async def test_rubbish_beside_the_message_is_never_a_500(tmp_path: Path, body: bytes) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        headers = {"content-type": "application/json", "idempotency-key": "k"}
        for path in (CHAT, WORDS):
            response = await gateway.http.post(path, content=body, headers=headers)
            assert response.status_code in {200, 400, 422}


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json;charset=UTF-8", "Application/JSON"]
)
async def test_json_by_any_spelling_comes_in(tmp_path: Path, media_type: str) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        headers = {"content-type": media_type}
        response = await gateway.http.post(WORDS, content=b'{"message": "Hi"}', headers=headers)
    assert response.content == b'data: "x"\n\n'


class NobodyThere(ScriptedTransport):
    @property
    def abilities(self) -> Abilities:
        return Abilities(admit=self.admit)

    def admit(self, model: str | None) -> TransportInfo:
        raise NoWorker("No worker is ready.", retry_after_s=5)


@pytest.mark.parametrize(
    ("path", "body"), [(CHAT, {"message": "Hi"}), (CHAT, {"user_message": "Hi"}), (WORDS, {"message": "Hi"})]
)
async def test_a_reply_that_cannot_begin_is_a_status_and_no_stream(
    tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    async with served(tmp_path, lambda _: [], kind=NobodyThere) as gateway:
        response = await gateway.http.post(path, json=body)
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    told = response.json()
    assert told["error"] == told["detail"] == "No worker is ready."


@pytest.mark.parametrize("path", [CHAT, WORDS])
async def test_only_post_is_answered(tmp_path: Path, path: str) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        response = await gateway.http.get(path)
    assert (response.status_code, response.json()["error"]) == (405, "Only POST is allowed here.")


async def test_the_same_key_asks_once(tmp_path: Path) -> None:
    headers = {"idempotency-key": "k1"}
    async with served(tmp_path, lambda _: tokens("Hel", "lo")) as gateway:
        first = await gateway.http.post(CHAT, json={"message": "Hi"}, headers=headers)
        second = await gateway.http.post(f"{CHAT}?format=lam", json={"message": "Hi"}, headers=headers)
        other = await gateway.http.post(CHAT, json={"message": "Ho"}, headers=headers)
    assert first.headers["sluice-stream-id"] == second.headers["sluice-stream-id"]
    assert b'"full_content":"Hello"' in second.content
    assert (other.status_code, other.json()["error"]) == (409, other.json()["detail"])
    assert len(gateway.transport.seen_requests) == 1
