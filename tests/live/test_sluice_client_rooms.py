"""The page's JavaScript client in rooms, in Node, against a real gateway and a proxy that cuts."""

import asyncio
import json
import random
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from tests.live.cutting_proxy import cutting_proxy
from tests.live.house import gateway_of
from tests.live.node import requires_node
from tests.live.scripted_model import scripted_model

pytestmark = [pytest.mark.live, requires_node()]

SCRIPT = Path(__file__).parents[1] / "page" / "room.mjs"
NOTES = 30
SETTINGS = {"ROOM_EVENTS_PER_S": "1000"}


async def run_rooms(url: str, direct_url: str, scenario: str, **options: Any) -> Any:
    """Run a scenario of room.mjs. Node 20 has its WebSocket behind a flag."""
    process = await asyncio.create_subprocess_exec(
        "node",
        "--experimental-websocket",
        "--no-warnings",
        SCRIPT,
        url,
        direct_url,
        scenario,
        json.dumps(options),
        stdout=PIPE,
        stderr=PIPE,
    )
    told, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return json.loads(told)


def cuts(seed: int, count: int) -> list[int]:
    chance = random.Random(seed)
    return [0, 1, 100, *(chance.randint(200, 1500) for _ in range(count))]


async def test_it_hears_all_messages_and_the_reply_once_over_lost_connections(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        scripted_model() as model,
        gateway_of(tmp_path, model, **SETTINGS) as house,
        cutting_proxy("127.0.0.1", house.http.base_url.port or 0, cuts(3, 40)) as proxy,
    ):
        direct = str(house.http.base_url)
        told = await run_rooms(proxy.url, direct, "hear", count=NOTES, question="say rivers")
        (stored,) = await house.messages()
        assert proxy.cut_off.is_set()
    notes = [f"note {number}" for number in range(NOTES)]
    said = [text for text in told["messages"] if text != stored["content"]]
    assert said == ["say rivers", *notes, "last"]
    assert told["messages"].count(stored["content"]) <= 1
    assert told["reply"] == stored["content"]
    assert len(set(told["ids"])) == len(told["ids"])
    assert "waiting" in told["states"]


async def test_each_message_is_said_once_over_lost_connections(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        scripted_model() as model,
        gateway_of(tmp_path, model, **SETTINGS) as house,
        cutting_proxy("127.0.0.1", house.http.base_url.port or 0, cuts(5, 30)) as proxy,
    ):
        told = await run_rooms(proxy.url, str(house.http.base_url), "say", count=NOTES)
        assert proxy.cut_off.is_set()
    assert told["messages"] == [*(f"note {number}" for number in range(NOTES)), "last"]


async def test_people_their_typing_and_presence_are_told(tmp_path: Path) -> None:
    async with asyncio.timeout(120), scripted_model() as model, gateway_of(tmp_path, model) as house:
        url = str(house.http.base_url)
        told = await run_rooms(url, url, "people")
    assert told["me"] == {"kind": "user", "name": "ben"}
    assert told["people"] == ["anna online", "ben online"]
    assert told["seen"] == [
        "room:join",
        "typing:start",
        "presence:update",
        "typing:stop",
        "message:new",
        "room:leave",
    ]
    assert (told["left"], told["typing"]) == (["anna"], [])


async def test_a_room_that_is_not_there_or_no_more_is_an_error(tmp_path: Path) -> None:
    async with asyncio.timeout(120), scripted_model() as model, gateway_of(tmp_path, model) as house:
        url = str(house.http.base_url)
        told = await run_rooms(url, url, "refused")
    assert told["none"] == [[400, "not_found"]]
    assert told["gone"] == [[400, "not_found"]]
    assert (told["said"], told["state"]) == ("unreachable", "ended")
