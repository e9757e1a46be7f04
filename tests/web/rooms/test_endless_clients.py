"""Clients that go on with what is refused, or leave an upgrade half done, are disconnected with a reason."""

from contextlib import suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gateway.rooms.event_rates import PATIENCE_S
from gateway.web.socket_io.engine_socket import NO_UPGRADE
from gateway.web.sockets.speaker import MAX_REFUSED
from tests.web.gateway_server import served
from tests.web.rooms.members import address, plain, polling
from tests.web.rooms.test_hostile_members import ANSWER
from tests.web.rooms.test_wires import new_room


async def test_who_says_auth_again_and_again_is_disconnected_like_every_flood(tmp_path: Path) -> None:
    async with (
        served(tmp_path, lambda _: ANSWER, room_events_per_s=1) as gateway,
        plain(gateway.url) as eve,
    ):
        await eve.done("room:join", {"roomId": await new_room(gateway)})
        assert (await eve.call("auth", {"userId": "admin"}))["error"]["code"] == "invalid"
        for _ in range(PATIENCE_S * 4):
            await eve.emit("auth", {"userId": "admin"})
        end = await eve.until_closed()
    assert end == (1008, "Far too many events: the connection is closed.")


async def test_who_gives_wrong_names_again_and_again_is_disconnected(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway, plain(gateway.url) as eve:
        for _ in range(MAX_REFUSED):
            assert (await eve.call("auth", {"userId": "\u202e"}))["error"]["code"] == "invalid"
        end = await eve.until_closed()
    assert end == (1008, "Too many events were refused before the first valid one.")


@pytest.mark.parametrize("packets", [["x"], ["2probe", "x"]], ids=str)
async def test_an_upgrade_that_is_not_finished_is_closed_and_polls_go_on(
    tmp_path: Path, packets: list[str]
) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway, polling(gateway.url) as eve:
        asked = f"{address(gateway.url)}/socket.io/?EIO=4&transport=websocket&sid={eve.opened['sid']}"
        async with connect(asked) as upgrade:
            for packet in packets:
                await upgrade.send(packet)
            with suppress(ConnectionClosed):
                async for _ in upgrade:
                    pass
            assert (upgrade.close_code, upgrade.close_reason) == (1008, NO_UPGRADE)
        assert (await eve.done("room:join", {"roomId": await new_room(gateway)}))["ok"]
