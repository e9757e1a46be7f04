"""Where a request names no session its conversation goes on: by user id, by cookie, by conversation id."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from gateway.contract.requests import ChatRequest
from tests.dialects.order.frames import frames_of
from tests.plain_http import plain_http
from tests.web.gateway_server import Served, served
from transports.scripted import Step, tokens

CHAT = "/api/chat/stream"
WORDS = "/api/v1/chat/unified/stream"
COOKIE = "sluice_conversation"


def counts(request: ChatRequest) -> Iterable[Step]:
    """How many turns the model was given."""
    return tokens(str(len(request.turns)))


async def say(gateway: Served, user_id: Any) -> str:
    body = {"message": "Hi", "user_id": user_id}
    return (await gateway.http.post(WORDS, json=body)).content.decode().removeprefix("data: ").strip()


async def test_words_go_on_with_the_latest_session_of_that_user_id(tmp_path: Path) -> None:
    async with served(tmp_path, counts) as gateway:
        heard = [await say(gateway, user_id) for user_id in ("ann", "bob", "ann", 7, "7", "bob")]
        sessions = (await gateway.http.get("/api/chatbot/sessions")).json()
    assert heard == ['"1"', '"1"', '"3"', '"1"', '"3"', '"3"']
    assert len(sessions) == 3


@pytest.mark.parametrize("user_id", [None, ""])
async def test_words_without_a_user_id_start_anew(tmp_path: Path, user_id: str | None) -> None:
    async with served(tmp_path, counts) as gateway:
        assert [await say(gateway, user_id), await say(gateway, user_id)] == ['"1"', '"1"']


async def test_a_user_id_is_taken_as_it_is(tmp_path: Path) -> None:
    strange = ["' OR 1=1 --", "%", "_", "\x00", "🙂", "ann\u2028"]
    async with served(tmp_path, counts) as gateway:
        heard = [await say(gateway, user_id) for user_id in [*strange, *strange]]
    assert heard == ['"1"'] * len(strange) + ['"3"'] * len(strange)


def turns(response: httpx.Response) -> str:
    return frames_of(response.content)[0].data or ""


async def test_lunar_goes_on_by_its_cookie(tmp_path: Path) -> None:
    async with served(tmp_path, counts) as gateway, plain_http(gateway.url) as another:
        first = await gateway.http.post(CHAT, json={"message": "Hi"})
        second = await gateway.http.post(CHAT, json={"message": "Hi"})
        theirs = await another.post(CHAT, json={"message": "Hi"})
    name, value, *attributes = first.headers["set-cookie"].replace("; ", "=", 1).split("=", 2)
    assert (name, len(value)) == (COOKIE, 22)
    assert set("=".join(attributes).split("; ")) == {"Max-Age=43200", "Path=/", "HttpOnly", "SameSite=Lax"}
    assert second.headers["set-cookie"] == first.headers["set-cookie"]
    assert theirs.headers["set-cookie"] != first.headers["set-cookie"]
    assert ['"1"' in turns(first), '"3"' in turns(second), '"1"' in turns(theirs)] == [True] * 3


@pytest.mark.parametrize(
    "cookie",
    [
        f"{COOKIE}=short",
        f"{COOKIE}=" + "x" * 4000,
        f"{COOKIE}=aaaaaaaaaaaaaaaaaaaaa;",
        f"{COOKIE}=\x80\xff%00aaaaaaaaaaaaaaaaaa",
        f"x{COOKIE}=aaaaaaaaaaaaaaaaaaaaaa",
        f"{COOKIE}=aaaaaaaaaaaaaaaaaaaaaa evil",
    ],
)
async def test_a_cookie_that_is_not_ours_is_replaced(tmp_path: Path, cookie: str) -> None:
    async with served(tmp_path, counts) as gateway:
        response = await gateway.http.post(
            CHAT, json={"message": "Hi"}, headers=[(b"cookie", cookie.encode("latin-1"))]
        )
    assert response.status_code == 200
    assert "aaaaaaaaaaaaaaaaaaaa" not in response.headers["set-cookie"]


async def test_the_cookie_is_found_among_others(tmp_path: Path) -> None:
    ours = "AbCdEfGhIjKlMnOpQrSt-_"
    cookie = f"theme=dark; {COOKIE}={ours}; sid=1"
    async with served(tmp_path, counts) as gateway:
        response = await gateway.http.post(CHAT, json={"message": "Hi"}, headers={"cookie": cookie})
    assert f"{COOKIE}={ours}" in response.headers["set-cookie"]


async def test_behind_https_the_cookie_is_secure(tmp_path: Path) -> None:
    async with served(tmp_path, counts, trusted_proxies=("127.0.0.1",)) as gateway:
        response = await gateway.http.post(
            CHAT, json={"message": "Hi"}, headers={"x-forwarded-proto": "https"}
        )
    assert response.headers["set-cookie"].endswith("; SameSite=Lax; Secure")


async def test_only_lunar_has_a_cookie(tmp_path: Path) -> None:
    async with served(tmp_path, counts) as gateway:
        printer = await gateway.http.post(CHAT, json={"user_message": "Hi"})
        words = await gateway.http.post(WORDS, json={"message": "Hi"})
        nothing = await gateway.http.post(CHAT, json={"message": ""})
    assert not any("set-cookie" in response.headers for response in (printer, words, nothing))


async def test_printer_is_told_a_new_conversation_once_and_goes_on_with_it(tmp_path: Path) -> None:
    async with served(tmp_path, counts) as gateway:
        first = await gateway.http.post(CHAT, json={"user_message": "Hi"})
        (session,) = (await gateway.http.get("/api/chatbot/sessions")).json()
        for spelt in (session["uuid"], session["uuid"].upper()):
            body = {"user_message": "Hi", "conversation_id": spelt}
            second = await gateway.http.post(CHAT, json=body)
        replies = [message for message in await gateway.messages() if message["role"] == "assistant"]
    assert f'event: conversation_id\ndata: {{"conversation_id":"{session["uuid"]}"}}' in first.text
    assert "conversation_id" not in second.text
    assert '{"token":"5"}' in second.text
    assert f'"message_id":"{replies[-1]["uuid"]}"' in second.text


async def test_printer_without_a_conversation_starts_one_each_time(tmp_path: Path) -> None:
    async with served(tmp_path, counts) as gateway:
        for _ in range(2):
            response = await gateway.http.post(CHAT, json={"user_message": "Hi"})
        sessions = (await gateway.http.get("/api/chatbot/sessions")).json()
    assert '{"token":"1"}' in response.text
    assert len(sessions) == 2


async def test_a_conversation_that_is_unknown_is_not_found(tmp_path: Path) -> None:
    async with served(tmp_path, counts) as gateway:
        body = {"user_message": "Hi", "conversation_id": str(uuid4())}
        response = await gateway.http.post(CHAT, json=body)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_a_conversation_resumed_from_its_start_is_told_like_the_first_time(tmp_path: Path) -> None:
    async with served(tmp_path, counts, journal_ttl_s=0) as gateway:
        headers = {"sluice-resumable": "1"}
        first = await gateway.http.post(CHAT, json={"user_message": "Hi"}, headers=headers)
        # Nothing but the store knows it now.
        again = await gateway.http.get(
            f"/messages/stream/{first.headers['sluice-stream-id']}", params={"format": "printer"}
        )
    told = [(frame.name, frame.data) for frame in frames_of(first.content)]
    assert [(frame.name, frame.data) for frame in frames_of(again.content)] == told
