"""Clients that have gone and rooms that are closed are freed at once: cycles are collected seldom."""

import asyncio
import gc
from collections import Counter
from pathlib import Path

import pytest

from gateway.core.room_channel import Place, RoomChannel
from gateway.rooms.participant import Participant
from gateway.web.socket_io.engine_socket import EngineSocket
from gateway.web.socket_io.room_client import RoomClient
from gateway.web.sockets.plain_socket import ClientSocket
from gateway.web.sockets.room_speaker import PlainOutlet, RoomSpeaker
from tests.live.looking import look_again
from tests.web.gateway_server import served
from tests.web.rooms.members import WIRES, PollingMember
from tests.web.rooms.test_hostile_members import ANSWER
from tests.web.rooms.test_wires import new_room

FREED = (EngineSocket, RoomClient, Participant, Place, RoomChannel, ClientSocket, RoomSpeaker, PlainOutlet)


def alive() -> Counter[str]:
    return Counter(type(each).__name__ for each in gc.get_objects() if type(each) in FREED)


@pytest.mark.parametrize("name", WIRES)
async def test_a_client_that_has_gone_is_freed(tmp_path: Path, name: str) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        room = await new_room(gateway)
        gc.collect()
        gc.freeze()  # nothing that exists now has to be looked at
        gc.disable()
        try:
            before = alive()
            for _ in range(3):
                async with WIRES[name](gateway.url) as member:
                    await member.done("room:join", {"roomId": room, "after": 0})
                    await member.done("typing:start")
                    if isinstance(member, PollingMember):
                        await member.put("1")
            async with asyncio.timeout(30):
                while left := alive() - before:
                    await look_again()
            assert not left
        finally:
            gc.enable()
