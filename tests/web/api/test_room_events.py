"""The event stream of a room, for those who only watch."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.events import Delta, Done
from gateway.rooms import event_rates
from gateway.web.api.room_events import RoomStream
from gateway.web.http.sse_writer import Pulse
from gateway.web.sockets.room_writer import MAX_WAITING_BYTES
from tests.web.frames import frames_of
from tests.web.gateway_server import Served, served
from tests.web.key_holders import bearer, keys_of, make_key
from tests.web.rooms.members import plain
from tests.web.rooms.test_wires import ROOMS, new_room
from tests.web.scene import Pipe
from transports.scripted import Step


class Watching:
    """frames: iterates over the frames of one connection."""

    def __init__(self, frames: AsyncIterator[Any]) -> None:
        self.frames = frames
        self.last_id: str | None = None

    async def until(self, *names: str) -> dict[str, Any]:
        """Return the data of the next event with one of these names."""
        async for frame in self.frames:
            if frame.id is not None:
                self.last_id = frame.id
            if frame.told["event"] in names:
                data: dict[str, Any] = frame.told["data"]
                return data
        raise EOFError

    async def reply(self) -> str:
        return await self.rest((await self.until("reply:start"))["content"])

    async def rest(self, text: str) -> str:
        """Return the whole reply, of which `text` is there."""
        while "length" not in (data := await self.until("reply:chunk", "reply:done")):
            assert data["position"] == len(text)
            text += data["content"]
        return text


@asynccontextmanager
async def watching(gateway: Served, room: str, **headers: str) -> AsyncIterator[Watching]:
    async with gateway.http.stream("GET", f"{ROOMS}/{room}/events", headers=headers) as response:
        assert response.status_code == 200
        yield Watching(frames_of(response))


async def test_a_watcher_sees_messages_and_replies_and_misses_nothing_when_it_comes_back(
    tmp_path: Path,
) -> None:
    go_on = asyncio.Event()
    script: list[Step] = [[Delta("So ")], go_on.wait, [Delta("it is.")], [Done("stop")]]
    async with served(tmp_path, lambda _: script) as gateway, plain(gateway.url, {"userId": "anna"}) as anna:
        room = await new_room(gateway)
        await anna.done("room:join", {"roomId": room})
        async with watching(gateway, room) as watcher:
            assert (await anna.until("room:join"))[1]["userId"] == "local"
            first = await anna.done("message:send", {"content": "One", "ask": False})
            assert (await watcher.until("message:new"))["content"] == "One"
            assert watcher.last_id == str(first["messageId"])
            asked = await anna.done("message:send", {"content": "Two"})
            assert (await watcher.until("message:new"))["content"] == "Two"
            await watcher.until("reply:chunk")
            await anna.done("message:send", {"content": "Three", "ask": False})
            assert (await watcher.until("message:new"))["content"] == "Three"
            assert watcher.last_id == str(asked["messageId"])
        assert (await anna.until("room:leave"))[1]["userId"] == "local"
        async with watching(gateway, room, **{"last-event-id": watcher.last_id}) as watcher:
            begun = await watcher.until("reply:start")
            assert (await watcher.until("message:new"))["content"] == "Three"
            go_on.set()
            assert await watcher.rest(begun["content"]) == "So it is."
        async with watching(gateway, room, **{"last-event-id": str(asked["messageId"])}) as watcher:
            missed = [await watcher.until("message:new") for _ in range(2)]
        assert [message["content"] for message in missed] == ["So it is.", "Three"]
        assert missed[0]["streamId"] == asked["streamId"]


@pytest.mark.parametrize("last_id", ["x", "1-2", "-1", "9" * 30])
async def test_a_last_event_id_that_is_no_message_is_refused(tmp_path: Path, last_id: str) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        room = await new_room(gateway)
        refused = await gateway.http.get(f"{ROOMS}/{room}/events", headers={"last-event-id": last_id})
    assert refused.status_code == 400


async def test_a_ticket_opens_the_stream_and_a_revoked_key_ends_it(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [], sse_ping_s=0.05) as gateway:
        anna = bearer(await make_key(gateway, "anna"))
        room = await new_room(gateway, **anna)
        issued = await gateway.http.post(f"/api/chatbot/sessions/{room}/ticket", json={}, headers=anna)
        async with watching(gateway, f"{room}/events?ticket={issued.json()['ticket']}&") as watcher:
            await keys_of(gateway).keys.revoke(1)
            await gateway.assembled.gateway.keys.refresh()
            with pytest.raises(EOFError):
                await watcher.until("nothing")


async def test_a_removed_member_hears_nothing_more(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        anna, ben = [bearer(await make_key(gateway, name)) for name in ("anna", "ben")]
        room = await new_room(gateway, "ben", **anna)
        async with watching(gateway, room, **ben) as watcher:
            await gateway.http.delete(f"{ROOMS}/{room}/members", params={"user": "ben"}, headers=anna)
            with pytest.raises(EOFError):
                await watcher.until("nothing")
            again = await gateway.http.get(f"{ROOMS}/{room}/events", headers=ben)
    assert again.status_code == 404


async def test_streams_count_as_the_users_streams(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [], streams_per_user=1) as gateway:
        anna = bearer(await make_key(gateway, "anna"))
        room = await new_room(gateway, **anna)
        async with watching(gateway, room, **anna):
            refused = await gateway.http.get(f"{ROOMS}/{room}/events", headers=anna)
            assert refused.json()["code"] == "too_many_streams"
        async with plain(gateway.url, {"token": anna["authorization"].removeprefix("Bearer ")}):
            refused = await gateway.http.get(f"{ROOMS}/{room}/events", headers=anna)
            assert refused.json()["code"] == "too_many_streams"


async def test_a_stream_begins_with_the_id_for_a_client_that_is_lost_before_the_first_event(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, lambda _: []) as gateway, plain(gateway.url) as anna:
        room = await new_room(gateway)
        said = await anna.done("message:send", {"roomId": room, "content": "One", "ask": False})
        async with gateway.http.stream("GET", f"{ROOMS}/{room}/events") as response:
            begun = await anext(response.aiter_raw())
    assert begun.endswith(b"id: %d\n\n" % said["messageId"])


async def test_a_client_that_does_not_read_is_disconnected() -> None:
    pipe = Pipe()
    stream = RoomStream(pipe, Pulse(15), lambda: True)
    serving = asyncio.create_task(stream.serve(pipe.send))
    await asyncio.sleep(0)
    pipe.block()
    for _ in range(9):
        stream.add(b"x" * (MAX_WAITING_BYTES // 4))
    assert pipe.gone
    await serving


async def test_who_asks_for_missed_messages_again_and_again_must_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_rates, "MISSED_AT_ONCE", 1)
    async with served(tmp_path, lambda _: []) as gateway:
        gateway.assembled.gateway.event_rates._clock = lambda: 0.0
        key = await make_key(gateway, "anna")
        anna = bearer(key)
        room = await new_room(gateway, **anna)
        async with plain(gateway.url, {"token": key}) as socket:
            for content in ("One", "Two"):
                await socket.done("message:send", {"roomId": room, "content": content, "ask": False})
        async with watching(gateway, room, **anna, **{"last-event-id": "0"}) as watcher:
            assert (await watcher.until("message:new"))["content"] == "One"
        for name in ("last_event_id", "lastEventId"):
            again = await gateway.http.get(f"{ROOMS}/{room}/events?{name}=0", headers=anna, timeout=5)
            assert (again.status_code, again.json()["code"]) == (429, "rate_limited")
            assert again.headers["retry-after"] == "1"
        async with watching(gateway, room, **anna):
            pass
