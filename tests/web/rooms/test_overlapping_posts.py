"""A client of long polls that sends a POST before the one before it is answered."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.core.room_channel import Place
from gateway.core.room_hall import RoomHall
from tests.web.gateway_server import served
from tests.web.rooms.members import Refused, plain, polling
from tests.web.rooms.test_hostile_members import ANSWER
from tests.web.rooms.test_wires import new_room


async def test_it_is_disconnected_and_stays_in_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, may_go_on = asyncio.Semaphore(0), asyncio.Event()
    real_join = RoomHall.join

    async def slow_join(*args: Any, **more: Any) -> Place:
        waiting.release()
        await may_go_on.wait()
        return await real_join(*args, **more)

    monkeypatch.setattr(RoomHall, "join", slow_join)
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        room = {"roomId": await new_room(gateway)}
        async with polling(gateway.url, {"userId": "eve"}) as eve:
            first = asyncio.create_task(eve.emit("room:join", room))
            await waiting.acquire()
            second = asyncio.create_task(eve.emit("room:join", room))
            joins_too = asyncio.create_task(waiting.acquire())
            await asyncio.wait([second, joins_too], return_when=asyncio.FIRST_COMPLETED)
            may_go_on.set()
            results = await asyncio.gather(first, second, return_exceptions=True)
            joins_too.cancel()
            assert isinstance(results[1], Refused)
            assert await eve.until_closed() == (0, "")
        async with plain(gateway.url, {"userId": "anna"}) as anna:
            people = (await anna.done("room:join", room))["people"]
    assert [person["userId"] for person in people] == ["anna"]
