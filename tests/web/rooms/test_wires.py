"""Two people meet in a room, write, and see the model's reply grow; the same on every wire."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.events import Delta, Done
from gateway.web.socket_io.room_client import RoomClient
from tests.web.gateway_server import Served, served
from tests.web.http.test_any_server import SERVERS
from tests.web.key_holders import bearer, keys_of, make_key
from tests.web.rooms.members import WIRES, Member, Refused, Wire, plain, polling, websocket
from transports.scripted import Step

ANSWER: list[Step] = [[Delta("So ")], [Delta("it is 🙂.")], [Done("stop", "tiny")]]
ROOMS = "/api/chatbot/rooms"


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> Wire:
    return WIRES[request.param]


async def new_room(gateway: Served, *members: str, **headers: str) -> str:
    """The key of a new room."""
    body = {"members": [{"user": name} for name in members]}
    response = await gateway.http.post(ROOMS, json=body, headers=headers)
    assert response.status_code == 201, response.text
    return str(response.json()["key"])


@asynccontextmanager
async def anna_and_ben(
    tmp_path: Path, wire: Wire, script: Any = lambda _: ANSWER, **settings: Any
) -> AsyncIterator[tuple[Served, str, Member, Member]]:
    """Two members of a room, with a key each, both in it."""
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(served(tmp_path, script, **settings))
        keys = [await make_key(gateway, name) for name in ("anna", "ben")]
        room = await new_room(gateway, "ben", **bearer(keys[0]))
        anna, ben = [await stack.enter_async_context(wire(gateway.url, {"token": key})) for key in keys]
        assert len((await anna.done("room:join", {"roomId": room}))["people"]) == 1
        told = await ben.done("room:join", {"roomId": room})
        assert sorted(person["userId"] for person in told["people"]) == ["anna", "ben"]
        assert await anna.event() == ("room:join", {"roomId": room, **who("ben")})
        yield gateway, room, anna, ben


def who(name: str) -> dict[str, Any]:
    return {"userId": name, "author": {"kind": "user", "name": name}}


async def test_people_see_each_other_come_type_and_go(tmp_path: Path, wire: Wire) -> None:
    async with anna_and_ben(tmp_path, wire) as (_, room, anna, ben):
        await ben.done("typing:start")
        assert await anna.event() == ("typing:start", {"roomId": room, **who("ben")})
        await ben.done("typing:stop", {"roomId": room})
        assert await anna.event() == ("typing:stop", {"roomId": room, **who("ben")})
        await ben.done("presence:update", {"status": "away", "metadata": {"until": "noon"}})
        away = {"status": "away", "metadata": {"until": "noon"}}
        assert await anna.event() == ("presence:update", {"roomId": room, **who("ben"), **away})
        await ben.done("room:leave", {"roomId": room})
        assert await anna.event() == ("room:leave", {"roomId": room, **who("ben")})


async def test_a_message_and_its_reply_are_heard_by_both(tmp_path: Path, wire: Wire) -> None:
    async with anna_and_ben(tmp_path, wire) as (gateway, room, anna, ben):
        answer = await ben.done("message:send", {"content": "Hello @model", "id": "b1"})
        for member in (anna, ben):
            _, said = await member.until("message:new")
            assert (said["roomId"], said["id"], said["userId"]) == (room, "b1", "ben")
            assert (said["messageId"], said["origin"]) == (answer["messageId"], "room")
            assert said["message"] == {"id": "b1", "role": "user", "content": "Hello @model"}
            assert await member.reply() == "So it is 🙂."
        assert answer["streamId"]
        assert len(gateway.transport.seen_requests) == 1


async def test_another_asgi_server_will_do(tmp_path: Path, wire: Wire) -> None:
    async with anna_and_ben(tmp_path, wire, server=SERVERS["stock uvicorn"]) as (_, _, anna, ben):
        await ben.done("message:send", {"content": "Hello @model"})
        assert await anna.reply() == "So it is 🙂."


async def test_a_message_to_the_others_asks_nobody(tmp_path: Path, wire: Wire) -> None:
    async with anna_and_ben(tmp_path, wire) as (gateway, _, anna, ben):
        assert "streamId" not in await ben.done("message:send", {"content": "Hello Anna"})
        assert (await anna.until("message:new"))[1]["content"] == "Hello Anna"
        assert gateway.transport.seen_requests == []


async def test_a_broadcast_is_heard_by_the_others_once(tmp_path: Path, wire: Wire) -> None:
    async with anna_and_ben(tmp_path, wire) as (_, room, anna, ben):
        message = {"id": "m1", "content": "So it was.", "role": "assistant"}
        for _ in range(2):
            await ben.done("message:broadcast", {"roomId": room, "message": message})
        await ben.done("message:send", {"content": "Look"})
        _, cast = await anna.until("message:new")
        assert (cast["origin"], cast["message"], cast["userId"]) == ("broadcast", message, "ben")
        assert (await anna.until("message:new"))[1]["content"] == "Look"
        assert (await ben.until("message:new"))[1]["content"] == "Look"


async def test_who_comes_back_gets_what_it_missed_and_who_is_late_the_text_so_far(
    tmp_path: Path, wire: Wire
) -> None:
    go_on = asyncio.Event()
    script: list[Step] = [[Delta("So ")], go_on.wait, [Delta("it is.")], [Done("stop")]]
    async with anna_and_ben(tmp_path, wire, lambda _: script) as (_, room, anna, ben):
        first = await ben.done("message:send", {"content": "One"})
        await anna.until("message:new")
        await anna.done("room:leave")
        await ben.done("message:send", {"content": "Two @model"})
        await ben.until("reply:chunk")
        await anna.done("room:join", {"roomId": room, "after": first["messageId"]})
        assert (await anna.until("message:new"))[1]["content"] == "Two @model"
        go_on.set()
        assert await anna.reply() == "So it is."


async def test_who_comes_back_with_the_last_after_gets_the_end_of_a_reply_that_earlier_messages_followed(
    tmp_path: Path, wire: Wire
) -> None:
    go_on = asyncio.Event()
    script: list[Step] = [[Delta("So ")], go_on.wait, [Delta("it is.")], [Done("stop")]]
    async with anna_and_ben(tmp_path, wire, lambda _: script) as (_, room, anna, ben):
        asked = await ben.done("message:send", {"content": "@model Is it?"})
        assert (await anna.until("reply:start"))[1]["after"] == asked["messageId"]
        meanwhile = await ben.done("message:send", {"content": "Meanwhile"})
        _, told = await anna.until("message:new")
        assert (told["content"], told["after"]) == ("Meanwhile", asked["messageId"])
        await anna.done("room:leave")
        go_on.set()
        assert (await ben.until("reply:done"))[1]["after"] == meanwhile["messageId"]
        answer = await anna.done("room:join", {"roomId": room, "after": told["after"]})
        missed = [(await anna.until("message:new"))[1] for _ in range(2)]
        assert [message["content"] for message in missed] == ["So it is.", "Meanwhile"]
        assert (missed[0]["streamId"], answer["after"]) == (asked["streamId"], meanwhile["messageId"])


async def test_a_member_that_is_removed_hears_nothing_more(tmp_path: Path, wire: Wire) -> None:
    async with anna_and_ben(tmp_path, wire) as (gateway, room, anna, ben):
        key = await make_key(gateway, "anna")
        removed = await gateway.http.delete(
            f"{ROOMS}/{room}/members", params={"user": "ben"}, headers=bearer(key)
        )
        assert removed.status_code == 200
        assert await ben.until("room:dismissed") == ("room:dismissed", {"roomId": room})
        assert (await ben.call("room:join", {"roomId": room}))["error"]["code"] == "not_found"
        assert await anna.until("room:members") == ("room:members", {"roomId": room})


async def test_a_socket_is_closed_when_its_key_is_revoked(tmp_path: Path, wire: Wire) -> None:
    async with anna_and_ben(tmp_path, wire) as (gateway, _, anna, ben):
        await keys_of(gateway).keys.revoke(2)
        await gateway.assembled.gateway.keys.refresh()
        code, reason = await ben.until_closed()
        assert code == 0 or (code, reason) == (1008, "The API key, ticket or token is no longer valid.")
        assert (await anna.until("room:leave"))[1]["userId"] == "ben"


@pytest.mark.parametrize(
    "auth",
    [
        {"token": "sk-forged"},
        {"key": "sk-forged"},
        {},
        {"userId": "anna"},
        {"token": 7},
        {"userId": ["anna"]},
        "anna",
    ],
)
async def test_forged_credentials_are_refused(tmp_path: Path, wire: Wire, auth: Any) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        await make_key(gateway, "anna")
        with pytest.raises(Refused) as refused:
            async with wire(gateway.url, auth):
                pass
    told = refused.value.args[0]
    assert told.get("data", told)["code"] in {"unauthorized", "invalid"}
    assert told["message"]
    if auth in ({}, {"userId": "anna"}):
        assert "send it as auth.token" in told["message"]


@pytest.mark.parametrize("place", ["query", "auth"])
async def test_a_ticket_names_the_user(tmp_path: Path, wire: Wire, place: str) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        anna = bearer(await make_key(gateway, "anna"))
        room = await new_room(gateway, **anna)
        ticket = (await gateway.http.post("/ws/ticket", json={}, headers=anna)).json()["ticket"]
        auth = {"userId": "eve"} if place == "query" else {"userId": "eve", "ticket": ticket}
        query = f"ticket={ticket}" if place == "query" else ""
        async with wire(gateway.url, auth, query=query) as member:
            (person,) = (await member.done("room:join", {"roomId": room}))["people"]
            assert person["userId"] == "anna"


async def test_in_open_mode_user_ids_are_labels(tmp_path: Path, wire: Wire) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        room = await new_room(gateway)
        async with wire(gateway.url, {"userId": "anna"}) as anna, wire(gateway.url, {"userId": 7}) as other:
            await anna.done("room:join", {"roomId": room})
            await other.done("room:join", {"roomId": room})
            assert (await anna.until("room:join"))[1]["userId"] == "7"
            await other.done("message:send", {"content": "Hi", "ask": False})
            assert (await anna.until("message:new"))[1]["userId"] == "7"


@pytest.mark.parametrize("label", ["anna\nben", "\x00", "anna\u2028", "\x85", "\x7f"], ids=ascii)
async def test_a_label_with_control_characters_is_refused(tmp_path: Path, wire: Wire, label: str) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        with pytest.raises(Refused) as refused:
            async with wire(gateway.url, {"userId": label}):
                pass
        told = refused.value.args[0]
        assert told.get("data", told)["code"] == "invalid"
        assert "userId: must not contain control characters" in told["message"]
        async with wire(gateway.url, {"userId": "Anna 👩‍👩‍👧 é"}) as anna:
            await anna.done("room:join", {"roomId": await new_room(gateway)})


async def test_half_an_emoji_is_told_as_a_replacement_character(tmp_path: Path, wire: Wire) -> None:
    """JavaScript's `slice` cuts between the halves, and `JSON.stringify` escapes the one that is left."""
    async with served(tmp_path, lambda _: ANSWER) as gateway, wire(gateway.url, {}) as anna:
        await anna.done("room:join", {"roomId": await new_room(gateway)})
        await anna.done("message:send", {"content": "Hi \ud83d\\ud83d", "ask": False})
        assert (await anna.until("message:new"))[1]["content"] == "Hi \ufffd\\ud83d"


async def test_an_event_without_an_answer_that_fails_is_told_as_an_error(tmp_path: Path, wire: Wire) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway, wire(gateway.url, {}) as anna:
        await anna.emit("room:join", {"roomId": "nobodys"})
        told = {"event": "room:join", "code": "not_found", "message": "No such session."}
        assert await anna.event() == ("error", told)


@pytest.mark.parametrize("namespace", ["/", "/ws"])
@pytest.mark.parametrize("wire", ["websocket", "polling", "upgraded"])
async def test_both_namespaces_of_socket_io_are_the_same_rooms(
    tmp_path: Path, wire: str, namespace: str
) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway, plain(gateway.url) as other:
        room = await new_room(gateway)
        await other.done("room:join", {"roomId": room})
        async with WIRES[wire](gateway.url, {"userId": "anna"}, namespace) as anna:
            await anna.done("room:join", {"roomId": room})
            assert (await other.until("room:join"))[1]["userId"] == "anna"
            await other.done("typing:start")
            assert (await anna.until("typing:start"))[1]["userId"] == "local"


@pytest.mark.parametrize("path", ["/socket.io/", "/socket.io", "/ws/"])
async def test_socket_io_is_at_several_paths(tmp_path: Path, path: str) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        async with polling(gateway.url, path=path) as one, websocket(gateway.url, path=path) as other:
            room = await new_room(gateway)
            await one.done("room:join", {"roomId": room})
            await other.done("room:join", {"roomId": room})
        async with websocket(gateway.url, path="/ws") as plain_path:
            await plain_path.done("room:join", {"roomId": room})


async def test_a_watcher_hears_and_may_not_write(tmp_path: Path, wire: Wire) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        anna, ben = await make_key(gateway, "anna"), await make_key(gateway, "ben")
        room = await new_room(gateway, **bearer(anna))
        watcher = {"user": "ben", "role": "watcher"}
        await gateway.http.post(f"{ROOMS}/{room}/members", json=watcher, headers=bearer(anna))
        async with wire(gateway.url, {"token": ben}) as watching, plain(gateway.url, {"key": anna}) as owner:
            await watching.done("room:join", {"roomId": room})
            for name in ("message:send", "message:broadcast", "typing:start"):
                refused = await watching.call(name, {"content": "Hi", "message": {"content": "So."}})
                assert refused["error"]["code"] == "forbidden"
            await owner.done("message:send", {"roomId": room, "content": "Hi", "ask": False})
            assert (await watching.until("message:new"))[1]["content"] == "Hi"


async def test_a_socket_that_is_let_in_keeps_no_headers_of_its_handshake(tmp_path: Path) -> None:
    async with (
        served(tmp_path, lambda _: ANSWER) as gateway,
        plain(gateway.url) as one,
        websocket(gateway.url) as other,
    ):
        for member in (one, other):
            await member.done("presence:update", {})
        for each in gateway.assembled.gateway.room_connections._all:
            client: Any = each
            writer = client.socket._writer if isinstance(each, RoomClient) else client._socket
            connection = writer._connection if isinstance(each, RoomClient) else writer.connection
            assert not hasattr(connection._connection, "request")
