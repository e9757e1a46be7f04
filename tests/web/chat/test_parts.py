"""Images, sound and files: from the request to the model, and back in history, exports and events."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.contract.accepted_kinds import check_accepts
from gateway.contract.content import Audio, File, Image, Text, part_of_json
from gateway.contract.transport import Abilities
from tests.dialects.order.frames import frames_of
from tests.web.gateway_server import STREAM, served
from transports.scripted import ScriptedTransport, tokens

MESSAGES = "/api/chatbot/messages"
COMPLETIONS = "/v1/chat/completions"
PIXEL = b64encode(b"\x89PNG\r\n\x1a\n\x00\xff").decode()
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
FILE = {"type": "file", "file": {"file_data": "data:text/plain;base64,SGkK", "filename": "no](x).txt\n# Ha"}}
PARTS = [{"type": "text", "text": "What\nis it?"}, IMAGE, AUDIO, FILE]
READ = (
    Text("What\nis it?"),
    Image("image/png", PIXEL),
    Audio("wav", "UklGRg=="),
    File("no](x).txt\n# Ha", "text/plain", "SGkK"),
)


async def test_parts_reach_the_model_and_come_back_as_they_were_sent(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("A dot.")) as gateway:
        events = await gateway.events({"content": PARTS})
        question, reply = await gateway.messages()
        session = (await gateway.http.get("/api/chatbot/sessions/1")).json()
        exported = (await gateway.http.get("/api/chatbot/sessions/1/export")).json()
    assert events[-1]["full_content"] == "A dot."
    assert gateway.transport.seen_requests[0].turns[-1].content == READ
    assert (question["content"], question["parts"], reply["parts"]) == ("What\nis it?", PARTS, None)
    assert session["title"] == "What is it?"
    assert [message["parts"] for message in exported["messages"]] == [PARTS, None]


async def test_the_whole_endpoint_gives_them_back_too(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("A dot.")) as gateway:
        told = (await gateway.http.post(MESSAGES, json={"content": PARTS})).json()
    assert (told["user_message"]["parts"], told["assistant_message"]["content"]) == (PARTS, "A dot.")


async def test_text_in_parts_is_a_string_everywhere(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "What "}, {"type": "text", "text": "now?"}]
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        await gateway.events({"content": parts})
        question, _ = await gateway.messages()
    assert gateway.transport.seen_requests[0].turns[-1].content == "What now?"
    assert (question["content"], question["parts"]) == ("What now?", None)


@pytest.mark.parametrize(("part", "title"), [(IMAGE, "Image"), (AUDIO, "Audio"), (FILE, "File")])
async def test_a_session_without_words_is_called_after_its_attachment(
    tmp_path: Path, part: dict[str, Any], title: str
) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        await gateway.events({"content": [part]})
        session = (await gateway.http.get("/api/chatbot/sessions/1")).json()
    assert session["title"] == title


async def test_earlier_images_go_to_the_model_again_until_they_are_too_many(tmp_path: Path) -> None:
    big = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 600_000}}
    async with served(tmp_path, lambda _: tokens("x"), max_body_bytes=1024 * 1024) as gateway:
        for content in ([IMAGE], [big], [{"type": "text", "text": "And"}, IMAGE], "So?", [big], "Now?"):
            await gateway.events(
                {"content": content, "session_id": 1}
                if gateway.transport.seen_requests
                else {"content": content}
            )
    kinds = [
        [
            turn.content if isinstance(turn.content, str) else "parts"
            for turn in request.turns
            if turn.role == "user"
        ]
        for request in gateway.transport.seen_requests
    ]
    assert kinds[3] == ["parts", "parts", "parts", "So?"]
    left_out = "(An attachment that is no longer sent.)"
    assert kinds[5] == [left_out, left_out, "parts", "So?", "parts", "Now?"]


async def test_markdown_shows_images_and_names_the_rest_harmlessly(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("A dot.")) as gateway:
        await gateway.events({"content": PARTS})
        exported = (await gateway.http.get("/api/chatbot/sessions/1/export?format=md")).text
    assert "\n> What\n> is it?\n\n> ![image](data:image/png;base64," in exported
    assert "\n\n> Sound (wav, 4 bytes)\n\n" in exported
    assert "\n\n> File no\\]\\(x\\)\\.txt \\# Ha (text/plain, 3 bytes)\n" in exported
    assert [line for line in exported.split("\n") if line and line[0] not in ">#"] == exported.split("\n")[
        2:3
    ]


async def test_other_tabs_hear_of_them(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        await gateway.events({"content": "Hi"})
        async with gateway.http.stream("GET", "/api/chatbot/sessions/1/events") as events:
            await gateway.events({"content": PARTS, "session_id": 1})
            async for line in events.aiter_lines():
                if line.startswith("data:"):
                    break
    told = json.loads(line.removeprefix("data: "))
    assert (told["type"], told["content"], told["parts"]) == ("message", "What\nis it?", PARTS)


async def test_an_idempotency_key_stands_for_the_parts_too(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        key = {"idempotency-key": "k"}
        answers = [
            await gateway.http.post(STREAM, json={"content": content}, headers=key)
            for content in (PARTS, PARTS, PARTS[:2])
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 409]
    assert answers[0].headers["sluice-stream-id"] == answers[1].headers["sluice-stream-id"]
    assert len(gateway.transport.seen_requests) == 1


async def test_openais_messages_may_have_them_in_every_turn(tmp_path: Path) -> None:
    said = [
        {"role": "user", "content": [IMAGE]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "user", "content": PARTS},
    ]
    async with served(tmp_path, lambda _: tokens("A dot.")) as gateway:
        answer = await gateway.http.post(COMPLETIONS, json={"messages": said})
        question, _ = await gateway.messages()
    assert answer.json()["choices"][0]["message"]["content"] == "A dot."
    turns = gateway.transport.seen_requests[0].turns
    assert [turn.content for turn in turns] == [(Image("image/png", PIXEL),), "No.", READ]
    assert question["parts"] == PARTS


WRONG: list[tuple[Any, int, str]] = [
    ([], 422, "content"),
    ([IMAGE] * 101, 422, "content"),
    ([{"type": "text", "text": " "}], 422, "content"),
    (
        [{"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}],
        422,
        "content.0.image_url.url",
    ),
    (
        [{"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%%"}}],
        422,
        "content.0.image_url.url",
    ),
    (
        [{"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AAAA"}}],
        422,
        "content.0.image_url.url",
    ),
    ([{"type": "text", "text": "x" * 20_000}, {"type": "text", "text": "x" * 13_000}, IMAGE], 422, "content"),
    (
        [IMAGE, {"type": "file", "file": {"file_data": "data:text/plain;base64," + "QUFB" * 11_000}}],
        422,
        "content",
    ),
    (
        [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 28_000_000}}],
        422,
        "content.0.image_url.url",
    ),
    ([{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 40_000_000}}], 413, ""),
]


@pytest.mark.parametrize(("content", "status", "field"), WRONG, ids=range(len(WRONG)))
async def test_what_is_wrong_is_refused_in_the_callers_shape_before_anything_is_kept(
    tmp_path: Path, content: Any, status: int, field: str
) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        plain = await gateway.http.post(STREAM, json={"content": content})
        whole = await gateway.http.post(MESSAGES, json={"content": content})
        frame = await gateway.http.post(STREAM, json={"content": content}, headers={"accept": "*/*"})
        body = {"messages": [{"role": "user", "content": content}]}
        openai = await gateway.http.post(COMPLETIONS, json=body)
        sessions = (await gateway.http.get("/api/chatbot/sessions?all=1")).json()
    for answer in (plain, whole):
        assert (answer.status_code, fields_of(answer)) == (status, [field] if field else [])
    assert (frame.status_code, json.loads(frames_of(frame.content)[0].data or "")["type"]) == (
        status,
        "error",
    )
    if not (isinstance(content, list) and content and content[0].get("text") == " "):  # OpenAI's may be empty
        assert openai.status_code == (400 if status == 422 else status)
        assert openai.json()["error"]["param"] == (f"messages.0.{field}" if field else None)
        assert gateway.transport.seen_requests == []
        assert sessions == []


def fields_of(answer: httpx.Response) -> list[str]:
    return [error["field"] for error in answer.json().get("errors", [])]


async def test_only_where_parts_are_read_a_body_may_be_large(tmp_path: Path) -> None:
    large = {"content": "x", "message": "x", "ignored": "y" * 2_000_000}
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        statuses = [
            (await gateway.http.post(path, json=large)).status_code
            for path in (STREAM, MESSAGES, "/api/chat/stream", "/api/chatbot/sessions")
        ]
    assert statuses == [200, 200, 413, 413]


async def test_a_large_image_comes_through_whole(tmp_path: Path) -> None:
    encoded = b64encode(bytes(range(256)) * 70_000).decode()
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        escaped = json.dumps({"content": [image]}).replace("/", "\\/")
        answer = await gateway.http.post(
            STREAM, content=escaped, headers={"content-type": "application/json", "idempotency-key": "k"}
        )
        (question,) = await gateway.messages()  # which fills a page
    assert answer.status_code == 200
    assert gateway.transport.seen_requests[0].turns[-1].content == (Image("image/png", encoded),)
    assert question["parts"] == [image]


class Blind(ScriptedTransport):
    """Its model takes text alone."""

    @property
    def abilities(self) -> Abilities:
        return Abilities(check=lambda request: check_accepts(request, frozenset()))


async def test_a_model_that_takes_none_is_named_before_anything_is_kept(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), kind=Blind) as gateway:
        stream = await gateway.http.post(STREAM, json={"content": [IMAGE, AUDIO]})
        whole = await gateway.http.post(MESSAGES, json={"content": [IMAGE]})
        said = [{"role": "user", "content": [IMAGE]}, {"role": "user", "content": "So?"}]
        openai = await gateway.http.post(COMPLETIONS, json={"messages": said})
        file = await gateway.events({"content": [FILE]})
        sessions = (await gateway.http.get("/api/chatbot/sessions?all=1")).json()
    assert [answer.status_code for answer in (stream, whole, openai)] == [422, 422, 400]
    assert stream.json()["code"] == openai.json()["error"]["code"] == "unsupported_content"
    assert "accepts no images or sound" in stream.json()["detail"]
    assert file[-1]["type"] == "done"
    assert len(sessions) == 1


async def test_a_session_goes_on_with_a_model_that_takes_none(tmp_path: Path) -> None:
    seeing = ScriptedTransport(lambda _: tokens("A dot."), name="sse")
    blind = Blind(lambda _: tokens("So."), name="mqtt")
    async with served(tmp_path, lambda _: [], sse=seeing, mqtt=blind, mqtt_broker_host="x") as gateway:
        for content in ([{"type": "text", "text": "This?"}, IMAGE], [IMAGE], [IMAGE, FILE]):
            await gateway.events(
                {"content": content, "session_id": 1} if seeing.seen_requests else {"content": content}
            )
        gateway.assembled.modes.mode = "mqtt"
        await gateway.events({"content": "And?", "session_id": 1})
    left_out = "(An attachment that is no longer sent.)"
    assert [turn.content for turn in blind.seen_requests[0].turns] == [
        *("This?", "A dot.", left_out, "A dot."),
        *((part_of_json(FILE),), "A dot."),
        "And?",
    ]
