"""Clients that flood, forge, send what is too large or no protocol, do not read, or never come in."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gateway.contract.events import Delta, Done
from gateway.rooms import event_rates
from gateway.rooms.client_events import MAX_EVENT_BYTES
from gateway.rooms.event_rates import MAX_ROOMS, PATIENCE_S
from gateway.web.socket_io import engine_socket, poll_queue
from gateway.web.sockets import room_writer
from tests.plain_http import plain_http
from tests.web.gateway_server import Served, served
from tests.web.key_holders import bearer, make_key
from tests.web.rooms.members import (
    WIRES,
    Member,
    PollingMember,
    Refused,
    Wire,
    address,
    plain,
    polling,
    websocket,
)
from tests.web.rooms.test_wires import new_room
from transports.scripted import Step

ANSWER: list[Step] = [[Delta("So.")], [Done("stop")]]


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> Wire:
    return WIRES[request.param]


@asynccontextmanager
async def a_room(tmp_path: Path, **settings: Any) -> AsyncIterator[tuple[Served, str, Member]]:
    """A gateway with a room, and somebody in it who must not notice anything."""
    async with served(tmp_path, lambda _: ANSWER, **settings) as gateway, plain(gateway.url) as neighbour:
        room = await new_room(gateway)
        await neighbour.done("room:join", {"roomId": room})
        yield gateway, room, neighbour


def stop_clock(gateway: Served) -> None:
    """Let no further event be allowed by the passing of time, however slow the machine is."""
    gateway.assembled.gateway.event_rates._clock = lambda: 0.0


async def closed(wire: Wire, url: str, packets: list[str]) -> tuple[int, str]:
    """Send packets of Engine.IO, and return the code and reason with which the server closes."""
    async with wire(url) as member:
        put: Any = member
        for packet in packets:
            await put.put(packet)
        return await member.until_closed()


async def test_a_flood_is_refused_and_the_room_hears_when_its_client_leaves(
    tmp_path: Path, wire: Wire
) -> None:
    async with a_room(tmp_path) as (gateway, room, neighbour):
        stop_clock(gateway)
        async with wire(gateway.url, {"userId": "eve"}) as eve:
            await eve.done("room:join", {"roomId": room})
            answers = [await eve.call("presence:update", {"status": f"s{n}"}) for n in range(60)]
            codes = [answer.get("error", {}).get("code") for answer in answers]
            assert codes[:20] == [None] * 20
            assert "rate_limited" in codes
            if isinstance(eve, PollingMember):
                await eve.put("1")  # else the gateway misses it only after 45 s without a poll
        assert (await neighbour.until("room:leave"))[1]["userId"] == "eve"


@pytest.mark.parametrize("name", ["websocket", "plain"])
async def test_who_goes_on_after_many_refusals_is_disconnected(tmp_path: Path, name: str) -> None:
    async with (
        a_room(tmp_path, room_events_per_s=1) as (gateway, room, _),
        WIRES[name](gateway.url) as eve,
    ):
        await eve.done("room:join", {"roomId": room})
        for _ in range(PATIENCE_S * 4):
            await eve.emit("typing:start")
        code, reason = await eve.until_closed()
    assert (code, reason) == (1008, "Far too many events: the connection is closed.")


async def test_ten_thousand_joins_do_no_harm(tmp_path: Path) -> None:
    async with a_room(tmp_path) as (gateway, room, neighbour):
        async with plain(gateway.url) as eve:
            for _ in range(10_000):
                await eve.emit("room:join", {"roomId": room})
            assert (await eve.until_closed())[0] == 1008
        assert (await neighbour.done("typing:start"))["roomId"] == room
        assert len(gateway.assembled.gateway.room_connections) == 1


async def test_who_asks_for_missed_messages_again_and_again_must_wait_and_stays_in_the_room(
    tmp_path: Path, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_rates, "MISSED_AT_ONCE", 5)
    async with a_room(tmp_path) as (gateway, room, neighbour):
        stop_clock(gateway)
        for text in ("one", "two", "three"):
            await neighbour.done("message:send", {"roomId": room, "content": text, "ask": False})
        async with wire(gateway.url, {"userId": "eve"}) as eve:
            for _ in range(2):
                await eve.done("room:join", {"roomId": room, "after": 0})
            refused = await eve.call("room:join", {"roomId": room, "after": 0})
            assert refused["error"] == {
                "code": "rate_limited",
                "message": "Too many missed messages were read: join again in 1 s.",
            }
            await neighbour.done("message:send", {"content": "four", "ask": False})
            heard = [(await eve.until("message:new"))[1]["content"] for _ in range(7)]
            assert heard == ["one", "two", "three", "one", "two", "three", "four"]


async def test_a_connection_is_in_a_limited_number_of_rooms(tmp_path: Path, wire: Wire) -> None:
    async with (
        served(tmp_path, lambda _: ANSWER, room_events_per_s=1000) as gateway,
        wire(gateway.url) as eve,
    ):
        for _ in range(MAX_ROOMS):
            await eve.done("room:join", {"roomId": await new_room(gateway)})
        refused = await eve.call("room:join", {"roomId": await new_room(gateway)})
        assert refused["error"]["code"] == "quota_reached"


async def test_a_typing_storm_is_one_event(tmp_path: Path, wire: Wire) -> None:
    async with (
        a_room(tmp_path, room_events_per_s=1000) as (gateway, room, neighbour),
        wire(gateway.url, {"userId": "eve"}) as eve,
    ):
        await eve.done("room:join", {"roomId": room})
        for _ in range(100):
            await eve.done("typing:start")
        await eve.done("typing:stop")
        told = [await neighbour.event() for _ in range(3)]
    assert [name for name, _ in told] == ["room:join", "typing:start", "typing:stop"]


async def test_an_event_that_is_too_large_is_refused(tmp_path: Path, wire: Wire) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway, wire(gateway.url) as eve:
        room = await new_room(gateway)
        large = {"roomId": room, "content": "x" * MAX_EVENT_BYTES}
        assert (await eve.call("message:send", large))["error"]["code"] == "too_large"
        assert (await eve.done("room:join", {"roomId": room}))["roomId"] == room


async def test_a_packet_of_a_megabyte_closes_the_connection(tmp_path: Path) -> None:
    packet = "42" + json.dumps(["message:send", {"content": "x" * 1_000_000}])
    async with a_room(tmp_path) as (gateway, _, neighbour):
        assert (await closed(websocket, gateway.url, [packet]))[0] == 1009
        async with polling(gateway.url) as eve:
            with pytest.raises(Refused) as refused:
                await eve.put(packet)
            assert (refused.value.args[0]["status"], refused.value.args[0]["code"]) == (413, "too_large")
            assert await eve.until_closed() == (0, "")
        await neighbour.done("typing:start")


@pytest.mark.parametrize(
    "packet",
    [
        "",
        "x",
        "2",
        "9",
        "4",
        "4x",
        "42",
        '42"a"',
        "42[]",
        "42[1]",
        "42[{}]",
        '42["a"',
        '42{"a":1}',
        "42" + "[" * 5000,
        "45",
        "44",
        '451-["a",{"_placeholder":true,"num":0}]',
        '459999999999-["a"]',
        '461-1["a"]',
        "bAAAA",
        "4" + "9" * 200,
        "42/ws," + "9" * 200 + '["a"]',
        "👾",
    ],
)
@pytest.mark.parametrize("name", ["websocket", "polling"])
async def test_what_is_no_protocol_closes_the_connection(
    tmp_path: Path, name: str, packet: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_room(tmp_path) as (gateway, _, neighbour):
        if name == "websocket":
            assert (await closed(websocket, gateway.url, [packet]))[0] == 1008
        elif packet:  # an empty POST has no packets
            async with polling(gateway.url) as eve:
                with pytest.raises(Refused) as refused:
                    await eve.put(packet)
                assert refused.value.args[0]["status"] == 400
        await neighbour.done("typing:start")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_binary_frame_closes_the_connection(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway, websocket(gateway.url) as eve:
        await eve.connection.send(b"\x00\x01")
        assert await eve.until_closed() == (1008, "Binary packets are not supported.")


@pytest.mark.parametrize(
    "frame", ["[1]", '{"event":1}', '{"event":""}', '{"event":"a","ack":{}}', '{"event":"a"']
)
async def test_a_frame_of_the_plain_socket_that_does_not_fit_closes_it(tmp_path: Path, frame: str) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway, connect(f"{address(gateway.url)}/ws") as socket:
        await socket.send(frame)
        with pytest.raises(ConnectionClosed) as end:
            await socket.recv()
    assert end.value.rcvd is not None
    assert end.value.rcvd.code == 1008


async def test_an_unknown_namespace_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        with pytest.raises(Refused):
            async with websocket(gateway.url, namespace="/admin"):
                pass


async def test_events_of_a_namespace_that_was_not_joined_are_ignored(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway, websocket(gateway.url) as eve:
        room = await new_room(gateway)
        await eve.put(f'42/ws,1["room:join",{{"roomId":"{room}"}}]')
        await eve.done("room:join", {"roomId": room})


async def test_who_joins_no_namespace_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_socket, "ADMITTED_WITHIN_S", 0.05)
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        async with connect(f"{address(gateway.url)}/socket.io/?EIO=4&transport=websocket") as silent:
            assert str(await silent.recv()).startswith("0")
            assert await silent.recv() == "1"
            with pytest.raises(ConnectionClosed) as end:
                await silent.recv()
            assert end.value.rcvd is not None
            assert end.value.rcvd.reason == "No namespace was joined within 0.05 s."
        monkeypatch.setattr(engine_socket, "ADMITTED_WITHIN_S", 1.0)  # longer than until the poll arrives
        async with plain_http(gateway.url) as http:
            url = "/socket.io/?EIO=4&transport=polling"
            sid = json.loads((await http.get(url)).text[1:])["sid"]
            polls = [await http.get(f"{url}&sid={sid}") for _ in range(2)]
            # On a slow machine the first poll comes too late to be told.
            assert polls[0].text == "1" or polls[0].status_code == 400
            assert polls[1].status_code == 400


async def test_who_leaves_all_namespaces_is_disconnected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway, websocket(gateway.url) as eve:
        monkeypatch.setattr(engine_socket, "ADMITTED_WITHIN_S", 0.05)
        await eve.put("41")
        assert await eve.until_closed() == (1008, "No namespace was joined within 0.05 s.")


@pytest.mark.parametrize(
    "query", ["EIO=3&transport=polling", "EIO=4&transport=polling&j=1", "EIO=4&transport=x"]
)
async def test_other_protocols_and_jsonp_are_refused(tmp_path: Path, query: str) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        assert (await gateway.http.get(f"/socket.io/?{query}")).status_code == 400


@pytest.mark.parametrize("sid", ["", "forged"])
async def test_a_forged_sid_is_refused(tmp_path: Path, sid: str) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        url = f"/socket.io/?EIO=4&transport=polling&sid={sid}"
        assert (await gateway.http.get(url)).status_code == 400 or not sid
        assert (await gateway.http.post(url, content="40")).status_code == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"X-Forwarded-For": "1.2.3.4"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://localhost:3000"}, 200),
    ],
)
async def test_without_keys_foreign_pages_and_proxies_are_refused(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        got = await gateway.http.get("/socket.io/?EIO=4&transport=polling", headers=headers)
    assert got.status_code == status


async def test_pages_of_other_origins_may_poll_if_they_are_allowed(tmp_path: Path) -> None:
    origin = {"Origin": "https://page.example"}
    async with served(tmp_path, lambda _: ANSWER, cors_origins=("https://page.example",)) as gateway:
        url = "/socket.io/?EIO=4&transport=polling"
        opened = await gateway.http.get(url, headers=origin)
        assert opened.headers["access-control-allow-origin"] == origin["Origin"]
        sid = json.loads(opened.text[1:])["sid"]
        text = {"content-type": "text/plain;charset=UTF-8", **origin}
        connected = await gateway.http.post(f"{url}&sid={sid}", content="40", headers=text)
        assert (connected.status_code, connected.text) == (200, "ok")


async def test_a_ticket_for_something_else_is_refused(tmp_path: Path, wire: Wire) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        anna = bearer(await make_key(gateway, "anna"))
        room = await new_room(gateway, **anna)
        ticket = (
            await gateway.http.post(f"/api/chatbot/sessions/{room}/ticket", json={}, headers=anna)
        ).json()
        for auth in ({"ticket": ticket["ticket"]}, {"ticket": "1.YQ." + "a" * 43}, {"ticket": ""}):
            with pytest.raises(Refused):
                async with wire(gateway.url, auth):
                    pass


async def test_a_user_has_as_many_connections_as_streams(tmp_path: Path, wire: Wire) -> None:
    async with served(tmp_path, lambda _: ANSWER, streams_per_user=1) as gateway:
        auth = {"token": await make_key(gateway, "anna")}
        async with wire(gateway.url, auth) as one:
            with pytest.raises(Refused) as refused:
                async with wire(gateway.url, auth):
                    pass
            told = refused.value.args[0]
            assert told.get("data", told)["code"] == "too_many_streams"
            await one.done("presence:update", {})


@pytest.mark.parametrize("name", ["websocket", "polling", "plain"])
async def test_who_does_not_read_is_disconnected_and_nobody_waits(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_writer, "MAX_WAITING_BYTES", 20_000)
    monkeypatch.setattr(poll_queue, "MAX_WAITING_BYTES", 20_000)
    many: dict[str, Any] = {"room_events_per_s": 10_000, "send_timeout_s": 3600}
    async with (
        a_room(tmp_path, **many) as (gateway, room, neighbour),
        WIRES[name](gateway.url, {"userId": "eve"}) as eve,
    ):
        await eve.done("room:join", {"roomId": room})
        sent = 0
        while gateway.assembled.gateway.slow_readers.cut == 0:
            metadata = {"number": sent, "text": "x" * 1900}
            await neighbour.done("presence:update", {"status": "busy", "metadata": metadata})
            sent += 1
        assert (await neighbour.until("room:leave"))[1]["userId"] == "eve"
