"""Attachments are uploaded once, named in messages, and served so that no browser runs them."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.content import parts_of
from tests.web.gateway_server import STREAM, Served, served
from transports.scripted import tokens

URL = "/api/chatbot/attachments"
PNG = b"\x89PNG\r\n\x1a\n\0\0"


def body(data: bytes, name: str = "a.png") -> dict[str, Any]:
    return {"name": name, "data": b64encode(data).decode()}


async def upload(gateway: Served, data: bytes, name: str = "a.png") -> dict[str, Any]:
    response = await gateway.http.post(URL, json=body(data, name))
    assert response.status_code == 201, response.text
    told: dict[str, Any] = response.json()
    return told


def part(attachment: dict[str, Any]) -> dict[str, Any]:
    return {"type": "attachment", "attachment": {"id": attachment["id"]}}


async def test_an_attachment_is_served_as_what_it_is(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        told = await upload(gateway, PNG, 'Bild \u202e\r\n; "x".html')
        response = await gateway.http.get(f"{URL}/{told['id']}")
        listed = (await gateway.http.get(URL)).json()
    assert response.content == PNG
    assert (told["media_type"], told["size"]) == ("image/png", len(PNG))
    assert listed == [told]
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert response.headers["content-disposition"] == (
        "inline; filename*=UTF-8''Bild%20%E2%80%AE%0D%0A%3B%20%22x%22.html"
    )


@pytest.mark.parametrize("data", [b"<script>alert(1)</script>", b"<svg onload='alert(1)'/>"])
async def test_active_content_is_a_text_to_download(tmp_path: Path, data: bytes) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        told = await upload(gateway, data, "page.svg")
        response = await gateway.http.get(f"{URL}/{told['id']}")
    assert response.content == data
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["content-disposition"].startswith("attachment; ")


async def test_messages_name_what_was_uploaded_once(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("I see.")) as gateway:
        picture, notes = await upload(gateway, PNG), await upload(gateway, b"Hello", "notes.txt")
        content = [{"type": "text", "text": "Look"}, part(picture), part(notes)]
        for _ in range(2):
            await gateway.events({"content": content})
        whole = await gateway.http.post("/api/chatbot/messages", json={"content": [part(picture)]})
        await gateway.events({"content": [part(notes)]}, "/api/chatbot/messages/1/regenerate")
        await gateway.http.delete(f"{URL}/{picture['id']}")
        gone = await gateway.http.get(f"{URL}/{picture['id']}")
        kept = (await gateway.messages())[0]
        asked = [parts_of(request.turns[-1].content) for request in gateway.transport.seen_requests]
    assert whole.status_code == 200
    assert gone.status_code == 404
    assert [each["type"] for each in kept["parts"]] == ["text", "image_url", "file"]
    assert [len(parts) for parts in asked] == [3, 3, 1, 1]
    inline = f"data:image/png;base64,{b64encode(PNG).decode()}"
    assert kept["parts"][1]["image_url"]["url"] == inline
    assert kept["parts"][2]["file"]["filename"] == "notes.txt"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"name": "a", "data": "%%%%"}, 422),
        ({"name": "a", "data": "SGk"}, 422),
        ({"name": "a", "data": ""}, 422),
        ({"name": "", "data": "SGk="}, 422),
        ({"data": "SGk="}, 422),
        ({"name": "a", "data": b64encode(b"MZ\x90\0").decode()}, 422),
        ({"name": "a", "data": b64encode(b"x" * 101).decode()}, 413),
        ([], 422),
    ],
)
async def test_what_cannot_be_kept_is_refused(tmp_path: Path, sent: Any, status: int) -> None:
    async with served(tmp_path, lambda _: [], max_attachment_bytes=100) as gateway:
        refused = await gateway.http.post(URL, json=sent)
        listed = (await gateway.http.get(URL)).json()
    assert (refused.status_code, listed) == (status, [])


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"type": "attachment"}, 422),
        ({"type": "attachment", "attachment": {"id": 7}}, 422),
        ({"type": "attachment", "attachment": {"id": "nobody's"}}, 404),
    ],
)
async def test_a_message_with_an_unknown_attachment_is_refused(
    tmp_path: Path, wrong: dict[str, Any], status: int
) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        refused = await gateway.http.post(STREAM, json={"content": [wrong]})
        sessions = (await gateway.http.get("/api/chatbot/sessions")).json()
    assert (refused.status_code, sessions) == (status, [])


async def test_attachments_of_one_message_have_a_limit_together(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [], max_body_bytes=1024 * 1024) as gateway:
        told = await upload(gateway, b"x" * 600_000, "a.txt")
        refused = await gateway.http.post(STREAM, json={"content": [part(told), part(told)]})
    assert refused.status_code == 413


async def test_too_many_attachments_are_refused_before_one_is_read(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        refused = await gateway.http.post(STREAM, json={"content": [part({"id": "nobody's"})] * 101})
    assert (refused.status_code, "at most 100 parts" in refused.text) == (422, True)
