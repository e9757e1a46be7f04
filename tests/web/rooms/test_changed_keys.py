"""Connections that were there before a key was made, or its limits were changed."""

from pathlib import Path

import pytest

from gateway.contract.events import Delta, Done, Usage
from gateway.contract.keys import KeyChange
from tests.web.gateway_server import served
from tests.web.key_holders import bearer, keys_of, make_key
from tests.web.rooms.members import WIRES, Wire
from tests.web.rooms.test_wires import new_room
from transports.scripted import Step

COUNTED: list[Step] = [[Delta("Hi")], [Usage(3, 2, 5), Done("stop", "tiny")]]


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> Wire:
    return WIRES[request.param]


async def test_a_budget_that_is_set_later_holds_for_connections_too(tmp_path: Path, wire: Wire) -> None:
    async with served(tmp_path, lambda _: COUNTED) as gateway:
        key = await make_key(gateway, "anna")
        room = await new_room(gateway, **bearer(key))
        async with wire(gateway.url, {"token": key}) as anna:
            await anna.done("room:join", {"roomId": room})
            await anna.done("message:send", {"content": "Hello"})
            assert await anna.reply() == "Hi"
            await keys_of(gateway).keys.change(1, KeyChange(tokens_per_day=1))
            await gateway.assembled.gateway.keys.refresh()
            await gateway.assembled.gateway.budgets.reload()
            refused = await anna.call("message:send", {"content": "Again"})
            assert refused["error"]["code"] == "token_budget_exceeded"
            await keys_of(gateway).keys.change(1, KeyChange(tokens_per_day=None))
            await gateway.assembled.gateway.keys.refresh()
            await anna.done("message:send", {"content": "Once more"})


async def test_who_came_without_a_key_is_closed_when_the_same_user_gets_one(
    tmp_path: Path, wire: Wire
) -> None:
    async with served(tmp_path, lambda _: COUNTED) as gateway:
        room = await new_room(gateway)
        async with wire(gateway.url, {"userId": "anna"}) as anna:
            await anna.done("room:join", {"roomId": room})
            await make_key(gateway, "local")
            code, reason = await anna.until_closed()
    assert code == 0 or (code, reason) == (1008, "The API key, ticket or token is no longer valid.")
