"""Parts that are refused, in each API: the error names the path that its client knows."""

from pathlib import Path
from typing import Any

from tests.web.gateway_server import served
from transports.scripted import tokens

Body = dict[str, Any]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIA"
LONG = "n" * 300


def ai_sdk(*parts: Body) -> Body:
    return {"id": "c", "trigger": "submit-message", "messages": [{"id": "m", "role": "user", "parts": parts}]}


def ag_ui(*parts: Body) -> Body:
    message = {"id": "m", "role": "user", "content": parts}
    rest: Body = {"tools": [], "state": {}, "context": [], "forwardedProps": {}}
    return {"threadId": "t", "runId": "r", "messages": [message]} | rest


def anthropic(*blocks: Body) -> Body:
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": blocks}]}


def responses(*parts: Body) -> Body:
    return {"model": "m", "input": [{"role": "user", "content": parts}]}


def ollama(text: str, *images: str) -> Body:
    return {"model": "m", "messages": [{"role": "user", "content": text, "images": images}]}


TEXT = {"type": "text", "text": "See"}
RESULT = {"type": "tool_result", "tool_use_id": "c1", "content": "21"}


def file(url: str, **more: str) -> Body:
    return {"type": "file", "mediaType": "image/png", "url": url} | more


def block(data: str) -> Body:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def binary(**more: str) -> Body:
    return {"type": "binary", "mimeType": "image/png"} | more


BASE64 = "must be base64 with its padding"
FETCHED = "no address is fetched"
URL = "http://127.0.0.1:9/a.png"
REFUSED: list[tuple[str, Body, str, str]] = [
    ("/api/chat", ai_sdk(TEXT, file(f"data:image/png;base64,{PNG[:-1]}")), "messages.0.parts.1.url", BASE64),
    ("/api/chat", ai_sdk(TEXT, file(URL)), "messages.0.parts.1.url", FETCHED),
    (
        "/api/chat",
        ai_sdk(file("data:text/plain;base64,SGk=", mediaType="text/plain", filename=LONG)),
        "messages.0.parts.0.filename",
        "255 characters",
    ),
    ("/api/ag-ui", ag_ui(TEXT, binary(data=PNG[:-1])), "messages.0.content.1.data", BASE64),
    ("/api/ag-ui", ag_ui(TEXT, binary(url=URL)), "messages.0.content.1", FETCHED),
    ("/api/ag-ui", ag_ui({"type": "video_url"}), "messages.0.content.0.type", "is not supported"),
    ("/v1/messages", anthropic(RESULT, TEXT, block(PNG[:-1])), "messages.0.content.2.source", BASE64),
    (
        "/v1/messages",
        anthropic({"type": "image", "source": {"type": "url", "url": URL}}),
        "messages.0.content.0.source",
        FETCHED,
    ),
    (
        "/v1/responses",
        responses({"type": "input_image", "image_url": f"data:image/png;base64,{PNG[:-1]}"}),
        "input.0.content.0.image_url",
        BASE64,
    ),
    (
        "/v1/responses",
        responses({"type": "input_audio", "input_audio": {"data": PNG, "format": "ogg"}}),
        "input.0.content.0.input_audio.format",
        "must be one of",
    ),
    ("/v1/responses", responses({"type": "input_image", "file_id": "f"}), "input.0.content.0", FETCHED),
    ("/api/chat", ollama("See", PNG, PNG[:-1]), "messages.0.images.1", BASE64),
    ("/api/chat", ollama("See", URL), "messages.0.images.0", FETCHED),
]


async def test_an_error_names_the_part_in_the_clients_own_request(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), rate_per_minute=1_000) as gateway:
        for path, body, field, problem in REFUSED:
            response = await gateway.http.post(path, json=body)
            assert response.status_code in (400, 422), response.text
            assert f"{field}: " in response.text, response.text
            assert problem in response.text, response.text
