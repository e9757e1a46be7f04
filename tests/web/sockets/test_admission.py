"""Access to the WebSocket: keys in frames and in the handshake, tickets, hosts, origins, limits."""

from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from gateway.contract.events import Delta, Done, Usage
from gateway.web.sockets import plain_socket
from gateway.web.sockets.speaker import MAX_REFUSED
from tests.web.gateway_server import Served, served
from tests.web.key_holders import bearer, keys_of, make_key
from tests.web.sockets.page_socket import page_socket
from transports.scripted import Step

ANSWER: list[Step] = [[Delta("So.")], [Done("stop")]]


async def texts(gateway: Served, headers: dict[str, str]) -> list[str]:
    messages = (await gateway.http.get("/api/chatbot/sessions/1/messages", headers=headers)).json()
    return [message["content"] for message in messages]


@pytest.mark.parametrize("place", ["frame", "x-api-key", "handshake", "ticket"])
async def test_a_key_or_a_ticket_names_the_user(tmp_path: Path, place: str) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        key = await make_key(gateway, "ann")
        ticket = (await gateway.http.post("/ws/ticket", json={}, headers=bearer(key))).json()
        query = ticket["url"].removeprefix("/ws") if place == "ticket" else ""
        handshake = bearer(key) if place == "handshake" else {}
        named = {"frame": bearer(key), "x-api-key": {"X-API-Key": key}}.get(place, {})
        async with page_socket(gateway.url, query, **handshake) as page:
            await page.send("r1", headers=named)
            assert (await page.heard("r1")).text == "So."
        assert await texts(gateway, bearer(key)) == ["Hi", "So."]


async def test_the_chats_of_two_keys_on_one_socket_are_apart(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [[Delta("on and on")]]) as gateway:
        ann, eve = bearer(await make_key(gateway, "ann")), bearer(await make_key(gateway, "eve"))
        async with page_socket(gateway.url) as page:
            await page.send("r1", headers=ann)
            await page.until("r1", "text-delta")
            await page.resume("r2", headers=eve)
            assert (await page.until("r2"))["type"] == "no-active"
            await page.resume("r3", headers=ann)
            await page.until("r3", "text-delta")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer sk-forged"}, {"X-API-Key": "x" * 9000}])
async def test_forged_keys_are_refused_and_the_socket_is_closed_at_last(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        await make_key(gateway, "ann")
        async with page_socket(gateway.url) as page:
            for number in range(MAX_REFUSED):
                await page.send(f"r{number}", headers=headers)
            refused = await page.until("r0")
            assert refused["type"] == "error"
            assert refused["errorText"].startswith(("An API key is needed", "The API key is unknown"))
            assert await page.until_closed() == (1008, "Too many frames had no valid credentials.")
        assert gateway.transport.seen_requests == []


async def test_a_stranger_may_send_only_a_small_frame(tmp_path: Path) -> None:
    large: dict[str, Any] = {"messages": [user_message("x" * 1_500_000)]}
    async with served(tmp_path, lambda _: ANSWER, max_content_chars=2_000_000) as gateway:
        key = await make_key(gateway, "ann")
        async with page_socket(gateway.url) as page:
            await page.send("r1", **large, headers=bearer(key))
            assert (await page.until_closed())[0] == 1009
        async with page_socket(gateway.url) as page:
            await page.resume("r0", headers=bearer(key))
            await page.until("r0")
            await page.send("r1", **large, headers=bearer(key))
            assert (await page.heard("r1")).text == "So."


async def test_a_key_in_the_handshake_admits_as_many_sockets_as_streams(tmp_path: Path) -> None:
    large: dict[str, Any] = {"messages": [user_message("x" * 1_500_000)]}
    settings: dict[str, Any] = {"max_content_chars": 2_000_000, "streams_per_user": 1}
    async with served(tmp_path, lambda _: ANSWER, **settings) as gateway:
        key = bearer(await make_key(gateway, "ann"))
        async with page_socket(gateway.url, **key) as one, page_socket(gateway.url, **key) as other:
            await other.send("r1", **large)
            assert (await other.until_closed())[0] == 1009
            await one.send("r2", **large)
            assert (await one.heard("r2")).text == "So."
        async with page_socket(gateway.url, **key) as again:
            await again.send("r3", **large)
            assert (await again.heard("r3")).text == "So."


def user_message(text: str) -> dict[str, Any]:
    return {"id": "u", "role": "user", "parts": [{"type": "text", "text": text}]}


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?ticket=1.YQ." + "a" * 43, {}, 403),
        ("", {"Authorization": "Bearer sk-forged"}, 401),
    ],
)
async def test_a_handshake_with_a_forged_credential_is_refused(
    tmp_path: Path, query: str, headers: dict[str, str], status: int
) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        await make_key(gateway, "ann")
        with pytest.raises(InvalidStatus) as refused:
            async with page_socket(gateway.url, query, **headers):
                pass
    assert refused.value.response.status_code == status
    assert refused.value.response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"X-Forwarded-For": "1.2.3.4"}, 403),
        ({"Origin": "http://localhost:3000"}, 101),
    ],
)
async def test_without_keys_foreign_pages_and_proxies_are_refused(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    got = 101
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        try:
            async with page_socket(gateway.url, **headers):
                pass
        except InvalidStatus as refused:
            got = refused.response.status_code
    assert got == status


async def test_a_user_has_as_many_sockets_as_streams_and_requests_as_elsewhere(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: ANSWER, streams_per_user=1, rate_per_minute=3) as gateway:
        key = bearer(await make_key(gateway, "ann"))
        async with page_socket(gateway.url) as one, page_socket(gateway.url) as other:
            await one.resume("r1", headers=key)
            assert (await one.until("r1"))["type"] == "no-active"
            await other.resume("r2", headers=key)
            assert (await other.until("r2"))["errorText"].startswith("There are 1 open streams")
            await one.resume("r3", headers=key)
            assert (await one.until("r3"))["type"] == "no-active"
            await one.resume("r4", headers=key)
            assert (await one.until("r4"))["errorText"] == "More than 3 requests in a minute."
        async with page_socket(gateway.url) as again:
            await again.resume("r5", headers=key)
            assert (await again.until("r5"))["errorText"] == "More than 3 requests in a minute."


async def test_a_socket_without_a_request_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_socket, "ADMITTED_WITHIN_S", 0.05)
    async with served(tmp_path, lambda _: ANSWER) as gateway, page_socket(gateway.url) as page:
        assert await page.until_closed() == (1008, "No request came within 0.05 s.")


async def test_a_ticket_has_the_limits_of_its_key_and_ends_with_it(tmp_path: Path) -> None:
    counted: list[Step] = [[Delta("So.")], [Usage(7, 3, 10), Done("stop")]]
    async with served(tmp_path, lambda _: counted) as gateway:
        key = await make_key(gateway, "ann", tokens_per_day=10)
        await make_key(gateway, "ann")
        ticket = (await gateway.http.post("/ws/ticket", json={}, headers=bearer(key))).json()
        async with page_socket(gateway.url, ticket["url"].removeprefix("/ws")) as page:
            await page.send("r1")
            assert (await page.heard("r1")).text == "So."
            await page.send("r2")
            refused = await page.until("r2")
            assert refused["type"] == "error"
            assert refused["errorText"].startswith("The key has used its 10 tokens of today")
            await keys_of(gateway).keys.revoke(1)
            await gateway.assembled.gateway.keys.refresh()
            await page.send("r3")
            assert (await page.until("r3"))["errorText"] == "The ticket's API key is revoked or expired."
