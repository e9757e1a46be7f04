"""Rooms: what each role may do, invitations, and members who leave."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.contract.events import Delta, Done
from gateway.contract.requests import ChatRequest
from gateway.contract.rooms import Member
from gateway.web.api.rooms import DEVICE_NAME
from tests.plain_http import plain_http
from tests.web.event_source import kinds
from tests.web.gateway_server import STREAM, Served, served, unified_events
from tests.web.key_holders import bearer, keys_of, make_key
from transports.scripted import Step

ROOMS = "/api/chatbot/rooms"
SESSIONS = "/api/chatbot/sessions"


@dataclass
class House:
    """A gateway with three users, and what the model was asked."""

    gateway: Served
    anna: httpx.AsyncClient
    ben: httpx.AsyncClient
    eve: httpx.AsyncClient
    asked: list[ChatRequest]

    async def room(self, *members: dict[str, Any]) -> dict[str, Any]:
        made = await self.anna.post(ROOMS, json={"title": "Kitchen", "members": list(members)})
        assert made.status_code == 201, made.text
        return dict(made.json())


HELLO: Sequence[Step] = [[Delta("Hello ")], [Delta("there")], [Done("stop")]]
ENDLESS: Sequence[Step] = [[Delta("Hello ")]]


@asynccontextmanager
async def house_of(tmp_path: Path, steps: Sequence[Step] = HELLO, **settings: Any) -> AsyncIterator[House]:
    asked: list[ChatRequest] = []

    def script(request: ChatRequest) -> Sequence[Step]:
        asked.append(request)
        return steps

    async with served(tmp_path, script, **settings) as gateway:
        keys = [await make_key(gateway, user) for user in ("anna", "ben", "eve")]
        async with (
            plain_http(gateway.url, headers=bearer(keys[0])) as anna,
            plain_http(gateway.url, headers=bearer(keys[1])) as ben,
            plain_http(gateway.url, headers=bearer(keys[2])) as eve,
        ):
            yield House(gateway, anna, ben, eve, asked)


async def ask(client: httpx.AsyncClient, room: dict[str, Any]) -> httpx.Response:
    return await client.post(STREAM, json={"content": "Hi", "session_id": room["key"], "resumable": True})


async def test_a_member_reads_writes_and_follows_and_a_watcher_only_reads(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        room = await house.room({"user": "ben"}, {"user": "eve", "role": "watcher"})
        assert [each["role"] for each in room["members"]] == ["owner", "member", "watcher"]
        told = await ask(house.ben, room)
        stream_id = told.headers["sluice-stream-id"]
        for client in (house.anna, house.ben, house.eve):
            messages = (await client.get(f"{SESSIONS}/{room['id']}/messages")).json()
            assert [message["content"] for message in messages] == ["Hi", "Hello there"]
            assert messages[0]["author"] == {"kind": "user", "name": "ben"}
            async with client.stream("GET", f"{STREAM}/{stream_id}") as again:
                assert kinds([event async for event in unified_events(again)])[-1] == "done"
        assert (await ask(house.eve, room)).status_code == 404
        for client in (house.ben, house.eve):
            renamed = await client.patch(f"{SESSIONS}/{room['id']}", json={"title": "Mine"})
            deleted = await client.delete(f"{SESSIONS}/{room['id']}")
            invited = await client.post(f"{ROOMS}/{room['key']}/invitations")
            assert {renamed.status_code, deleted.status_code, invited.status_code} == {404}


async def test_a_member_that_may_not_delete_a_room_does_not_stop_its_reply(tmp_path: Path) -> None:
    async with house_of(tmp_path, ENDLESS) as house:
        room = await house.room({"user": "ben"})
        body = {"content": "Hi", "session_id": room["key"], "resumable": True}
        async with house.anna.stream("POST", STREAM, json=body) as reply:
            assert (await house.ben.delete(f"{SESSIONS}/{room['id']}")).status_code == 404
            (run,) = house.gateway.assembled.gateway.runs.all()
            assert not run.is_settled()
            stopped = await house.anna.post(f"{STREAM}/{reply.headers['sluice-stream-id']}/stop")
            assert stopped.json()["reason"] == "user_stop"


async def test_a_member_stops_a_reply_and_a_watcher_cannot_while_it_runs_nor_later(tmp_path: Path) -> None:
    async with house_of(tmp_path, ENDLESS) as house:
        room = await house.room({"user": "ben"}, {"user": "eve", "role": "watcher"})
        body = {"content": "Hi", "session_id": room["key"], "resumable": True}
        async with house.anna.stream("POST", STREAM, json=body) as reply:
            stop = f"{STREAM}/{reply.headers['sluice-stream-id']}/stop"
            unknown = await house.eve.post(f"{STREAM}/unknown/stop")
            refused = await house.eve.post(stop)
            assert (refused.status_code, refused.content) == (404, unknown.content)
            assert (await house.ben.post(stop)).json()["reason"] == "user_stop"
        assert (await house.eve.post(stop)).content == unknown.content


async def test_an_export_as_markdown_names_the_other_members(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        room = await house.room({"user": "ben"})
        for client in (house.anna, house.ben):
            await ask(client, room)
        exported = await house.ben.get(f"{SESSIONS}/{room['id']}/export", params={"format": "md"})
    headings = [line.split(",")[0] for line in exported.text.split("\n") if line.startswith("## ")]
    assert headings == ["## anna", "## Assistant", "## You", "## Assistant"]


async def test_everybody_lists_the_room_and_nobody_else_does(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        room = await house.room({"user": "ben"})
        for client in (house.anna, house.ben):
            assert (await client.get(ROOMS)).json() == [room]
            assert (await client.get(f"{ROOMS}/{room['key']}")).json() == room
        assert (await house.eve.get(ROOMS)).json() == []
        assert (await house.eve.get(f"{ROOMS}/{room['key']}")).status_code == 404


async def test_an_invitation_makes_its_holder_a_member_with_its_role(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        room = await house.room()
        invited = await house.anna.post(f"{ROOMS}/{room['key']}/invitations", json={"role": "watcher"})
        ticket = invited.json()["ticket"]
        joined = await house.ben.post(f"{ROOMS}/join", json={"ticket": ticket})
        assert joined.json()["members"][1] == {"kind": "user", "name": "ben", "role": "watcher"}
        for forged in (ticket.replace("watcher", "member"), ticket[:-1], f"9{ticket}", "", "x", "1.member."):
            refused = await house.eve.post(f"{ROOMS}/join", json={"ticket": forged})
            assert refused.status_code in {403, 422}, forged
        assert (await house.eve.get(ROOMS)).json() == []
        await house.anna.delete(f"{SESSIONS}/{room['id']}")
        gone = await house.eve.post(f"{ROOMS}/join", json={"ticket": ticket})
        assert gone.status_code == 404


async def test_a_member_who_left_or_was_removed_has_no_access_any_more(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        room = await house.room({"user": "ben"}, {"user": "eve"})
        left = await house.ben.delete(f"{ROOMS}/{room['key']}/members", params={"user": "ben"})
        removed = await house.anna.delete(f"{ROOMS}/{room['key']}/members", params={"user": "eve"})
        assert [each["name"] for each in left.json()["members"]] == ["anna", "eve"]
        assert [each["name"] for each in removed.json()["members"]] == ["anna"]
        for client in (house.ben, house.eve):
            assert (await client.get(f"{SESSIONS}/{room['id']}")).status_code == 404
            assert (await ask(client, room)).status_code == 404


async def test_the_first_invitation_makes_a_room_of_a_session(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        session = (await house.anna.post(SESSIONS, json={"title": "Mine"})).json()
        assert session["room"] is False
        path = f"{ROOMS}/{session['uuid']}"
        assert (await house.ben.post(f"{path}/invitations")).status_code == 404
        assert (await house.anna.get(path)).status_code == 404
        invited = await house.anna.post(f"{path}/invitations")
        assert (await house.ben.post(f"{ROOMS}/join", json=invited.json())).status_code == 200
        assert [each["name"] for each in (await house.anna.get(path)).json()["members"]] == ["anna", "ben"]
        for client in (house.anna, house.ben):
            assert (await client.get(f"{SESSIONS}/{session['id']}")).json()["room"] is True
        assert [each["room"] for each in (await house.anna.get(SESSIONS)).json()] == [True]


async def test_a_removed_member_does_not_return_by_an_older_invitation(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        room = await house.room()
        invited = await house.anna.post(f"{ROOMS}/{room['key']}/invitations")
        for client in (house.ben, house.eve):
            assert (await client.post(f"{ROOMS}/join", json=invited.json())).status_code == 200
        await house.anna.delete(f"{ROOMS}/{room['key']}/members", params={"user": "ben"})
        assert (await house.ben.post(f"{ROOMS}/join", json=invited.json())).status_code == 403
        assert (await house.ben.get(ROOMS)).json() == []
        assert len((await house.eve.get(ROOMS)).json()) == 1
        invited = await house.anna.post(f"{ROOMS}/{room['key']}/invitations")
        assert (await house.ben.post(f"{ROOMS}/join", json=invited.json())).status_code == 200


async def test_a_removed_member_hears_no_more_events(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        room = await house.room({"user": "ben"})
        async with house.ben.stream("GET", f"{SESSIONS}/{room['id']}/events") as events:
            assert events.status_code == 200
            await house.anna.delete(f"{ROOMS}/{room['key']}/members", params={"user": "ben"})
            await ask(house.anna, room)
            async with asyncio.timeout(30):
                heard = [event async for event in unified_events(events)]
        assert heard == []


async def test_only_an_own_device_can_be_added(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        await keys_of(house.gateway).add_device("robot-1", "anna")
        await keys_of(house.gateway).add_device("robot-2", "eve")
        room = await house.room({"device": "robot-1"})
        assert room["members"][1] == {"kind": "device", "name": "robot-1", "role": "member"}
        for device in ("robot-2", "robot-3"):
            refused = await house.anna.post(f"{ROOMS}/{room['key']}/members", json={"device": device})
            assert refused.status_code == 404
        made = await house.anna.post(ROOMS, json={"members": [{"device": "robot-2"}]})
        assert made.status_code == 404
        assert len((await house.anna.get(SESSIONS)).json()) == 1


async def test_memberships_hold_after_a_restart_and_at_another_gateway(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        room = await house.room({"user": "ben"})
    async with house_of(tmp_path) as house:
        assert (await house.ben.get(f"{SESSIONS}/{room['id']}")).status_code == 200
        # As another gateway does it, whose change this one reads.
        await keys_of(house.gateway).rooms.add("anna", room["id"], [Member("user", "eve")])
        await house.gateway.assembled.gateway.rooms.reload()
        assert (await house.eve.get(f"{SESSIONS}/{room['id']}")).status_code == 200


async def test_a_removal_that_names_no_member_or_two_is_422(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        room = await house.room({"user": "ben"})
        for named in ({}, {"user": "ben", "device": "robot-1"}):
            refused = await house.anna.delete(f"{ROOMS}/{room['key']}/members", params=named)
            assert refused.status_code == 422
        assert (await house.anna.get(f"{ROOMS}/{room['key']}")).json() == room


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "user: Field required"),
        ({"user": "ben", "device": "robot"}, "user: Extra inputs are not permitted"),
        ({"user": ""}, "user: String should have at least 1 character"),
        ({"user": "ben\n"}, "user: must not contain control characters or line breaks"),
        ({"user": "\u0000"}, "user: must not contain control characters or line breaks"),
        ({"user": "\u202enna"}, "user: must not contain characters that change the direction of text"),
        ({"user": " ben"}, "user: must not have spaces around it"),
        ({"device": "a/b"}, f"device: String should match pattern '{DEVICE_NAME}'"),
        ({"user": "ben", "role": "owner"}, "role: Input should be 'member' or 'watcher'"),
    ],
    ids=ascii,
)
async def test_a_wrong_member_is_422_and_the_error_names_its_field(
    tmp_path: Path, body: dict[str, Any], problem: str
) -> None:
    async with house_of(tmp_path) as house:
        room = await house.room()
        refused = await house.anna.post(f"{ROOMS}/{room['key']}/members", json=body)
        told = f"The request does not fit: {problem}."
        assert (refused.status_code, refused.json()["detail"]) == (422, told)
        assert (await house.anna.get(f"{ROOMS}/{room['key']}")).json() == room
        refused = await house.anna.post(ROOMS, json={"members": [{"user": "ben"}, body]})
        told = f"The request does not fit: members.1.{problem}."
        assert (refused.status_code, refused.json()["detail"]) == (422, told)


async def test_a_member_whose_name_is_refused_by_now_can_be_removed(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        room = await house.room({"user": "ben"})
        await house.gateway.assembled.gateway.rooms._rooms.add("anna", room["id"], [Member("user", "ben\n")])
        left = await house.anna.delete(f"{ROOMS}/{room['key']}/members", params={"user": "ben\n"})
        assert [member["name"] for member in left.json()["members"]] == ["anna", "ben"]
