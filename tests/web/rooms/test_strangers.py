"""A user can neither detect, hear nor change a room of others by any event of any socket.

A stranger sends each event with the name of Anna's room on one connection, and with an unused name of the
same shape on another. Both connections must get the same bytes. An event without a case fails.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from gateway.contract.events import Delta, Done
from gateway.rooms.client_events import FORMS
from gateway.web.chat.ai_sdk_socket import ClientFrame
from tests.web.gateway_server import Served, served
from tests.web.key_holders import bearer, make_key
from tests.web.rooms.members import WIRES, Member, Wire, plain
from tests.web.rooms.test_wires import ROOMS, new_room
from tests.web.sockets.page_socket import page_socket
from transports.scripted import Step

SECRET = "heron"
"""A word in Anna's room that must never reach a stranger."""

CASES: dict[str, list[dict[str, Any]]] = {
    "room:join": [{}, {"after": 0}, {"after": 1}, {"after": -1}],
    "room:leave": [{}],
    "message:send": [
        {"content": "Hi"},
        {"content": "Hi", "ask": True, "id": "b1"},
        {"content": [{"type": "text", "text": "@model Hi"}]},
        {"content": ""},
        {"content": {"wrong": 1}},
        {},
    ],
    "message:broadcast": [{"message": {"id": "m1", "role": "assistant", "content": "So."}}, {}],
    "typing:start": [{}],
    "typing:stop": [{}],
    "presence:update": [{}, {"status": "away", "metadata": {"until": "noon"}}, {"status": ""}],
}
"""The data of each event, beside its room."""

WRITING = {"message:send", "message:broadcast", "typing:start", "typing:stop"}
"""Events that a watcher may not send."""

UNKNOWN = ["anna-000000", "00000000-0000-4000-8000-000000000000", "987654", 987654]
"""Key, uuid and id of no room."""

MANY: dict[str, Any] = {"room_events_per_s": 10_000, "rate_per_minute": 10_000}


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> Wire:
    return WIRES[request.param]


@dataclass
class Annas:
    """Anna's room, in which a reply is being written. Carol is in it and hears everything.

    names: its key, uuid and id. anna: headers with her key. go_on: lets the reply end.
    """

    gateway: Served
    names: list[Any]
    anna: dict[str, str]
    owner: Member
    carol: Member
    go_on: asyncio.Event

    async def listen(self) -> None:
        """Let Carol forget all events so far."""
        await self.owner.done("presence:update", {"status": "listening"})
        while (await self.carol.until("presence:update"))[1]["status"] != "listening":
            pass

    async def check_nothing_was_heard(self) -> None:
        """Fail if Carol has heard anything since `listen`."""
        await self.owner.done("presence:update", {"status": "quiet"})
        name, data = await self.carol.event()
        assert (name, data.get("status")) == ("presence:update", "quiet")

    async def stored(self) -> tuple[Any, list[Any]]:
        """The room and its messages, as Anna reads them. Of the reply that runs, only its id."""
        paths = (f"{ROOMS}/{self.names[0]}", f"/api/chatbot/sessions/{self.names[0]}/messages")
        room, told = [(await self.gateway.http.get(path, headers=self.anna)).json() for path in paths]
        return room, [each["id"] if each["status"] == "streaming" else each for each in told]


@asynccontextmanager
async def annas_room(tmp_path: Path, *members: str) -> AsyncIterator[Annas]:
    go_on = asyncio.Event()
    script: list[Step] = [[Delta(f"{SECRET} ")], go_on.wait, [Delta("here")], [Done("stop")]]
    async with served(tmp_path, lambda _: script, **MANY) as gateway, AsyncExitStack() as stack:
        keys = {name: await make_key(gateway, name) for name in ("anna", "carol")}
        anna = bearer(keys["anna"])
        room = await new_room(gateway, "carol", *members, **anna)
        told = (await gateway.http.get(f"{ROOMS}/{room}", headers=anna)).json()
        both = [await stack.enter_async_context(plain(gateway.url, {"key": key})) for key in keys.values()]
        for member in both:
            await member.done("room:join", {"roomId": room})
        await both[0].done("message:send", {"content": f"{SECRET} @model"})
        await both[1].until("reply:chunk")
        names = [told["key"], told["uuid"], str(told["id"]), told["id"]]
        yield Annas(gateway, names, anna, both[0], both[1], go_on)


async def walk(member: Member, names: list[Any]) -> None:
    """Send every event with each name, with and without asking for an answer; each must be refused."""
    for event, cases in CASES.items():
        for name in names:
            for data in cases:
                answer = await member.call(event, {"roomId": name, **data})
                assert answer["error"]["code"] in {"not_found", "invalid"}, (event, data, answer)
                await member.emit(event, {"roomId": name, **data})
                assert (await member.event())[0] == "error"


def told_to(member: Member, since: int = 0) -> list[str]:
    """Return the frames or packets that the client has read, without heartbeats."""
    return [text for text in member.raw[since:] if text != "2"]


def test_every_event_has_a_case() -> None:
    assert set(CASES) == set(FORMS)


@pytest.mark.parametrize("was_member", [False, True], ids=["a stranger", "a removed member"])
async def test_an_event_for_anothers_room_is_answered_as_for_no_room(
    tmp_path: Path, wire: Wire, was_member: bool
) -> None:
    async with annas_room(tmp_path, *(["ben"] if was_member else [])) as at:
        auth = {"token": await make_key(at.gateway, "ben")}
        async with wire(at.gateway.url, auth) as ben, wire(at.gateway.url, auth) as other:
            if was_member:
                await ben.done("room:join", {"roomId": at.names[0]})
                where = f"{ROOMS}/{at.names[0]}/members"
                await at.gateway.http.delete(where, params={"user": "ben"}, headers=at.anna)
                await ben.until("room:dismissed")
            else:
                await ben.done("presence:update")
            await other.done("presence:update")
            await at.listen()
            before = await at.stored()
            begun = [len(member.raw) for member in (ben, other)]

            await walk(ben, at.names)
            await walk(other, UNKNOWN)
            await at.check_nothing_was_heard()
            assert await at.stored() == before

            for event, cases in CASES.items():
                if event != "room:leave":
                    await at.owner.done(event, {"roomId": at.names[0], **cases[0]})
            at.go_on.set()
            await at.carol.until("reply:done")
            for member in (ben, other):
                await member.done("presence:update")
            told = [told_to(member, since) for member, since in zip((ben, other), begun, strict=True)]
            assert told[0] == told[1]
            assert SECRET not in "".join(told[0])


async def test_a_watcher_may_send_no_event_that_writes(tmp_path: Path, wire: Wire) -> None:
    async with annas_room(tmp_path) as at:
        watcher = {"user": "ben", "role": "watcher"}
        added = await at.gateway.http.post(f"{ROOMS}/{at.names[0]}/members", json=watcher, headers=at.anna)
        assert added.is_success
        async with wire(at.gateway.url, {"token": await make_key(at.gateway, "ben")}) as ben:
            await ben.done("room:join", {"roomId": at.names[0]})
            await at.listen()
            before = await at.stored()
            for event in WRITING:
                for name in at.names:
                    for data in CASES[event]:
                        answer = await ben.call(event, {"roomId": name, **data})
                        assert answer["error"]["code"] in {"forbidden", "invalid"}, (event, data, answer)
            await at.check_nothing_was_heard()
            assert await at.stored() == before
            for event in CASES.keys() - WRITING - {"room:leave"}:
                await ben.done(event, {"roomId": at.names[0]})
            await ben.done("room:leave", {"roomId": at.names[0]})


async def test_a_chat_of_the_ai_sdk_with_the_name_of_anothers_room_is_ones_own(tmp_path: Path) -> None:
    """`send` is read as the same request over HTTP: see tests/web/door/test_strangers.py."""
    assert set(get_args(get_type_hints(ClientFrame)["type"])) == {"send", "resume", "abort"}
    async with annas_room(tmp_path) as at:
        bens = bearer(await make_key(at.gateway, "ben"))
        await at.listen()
        told = []
        for names in (at.names, UNKNOWN):
            async with page_socket(at.gateway.url, **bens) as ben:
                for number, name in enumerate(names):
                    await ben.abort(f"r{number}")
                    await ben.resume(f"r{number}", chat=str(name))
                    await ben.until(f"r{number}")
                told.append(ben.frames)
        assert told[0] == told[1]
        await at.check_nothing_was_heard()
