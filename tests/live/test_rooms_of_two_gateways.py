"""Two gateways on one PostgreSQL and one Mosquitto, with two devices and two people in a room: one is killed.

Each gateway has one of the people connected, and sends one of the devices the events of the room.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gateway.core.device_rooms import weight
from tests.chaos.processes import ForkedGateway
from tests.live.brokers import free_port, requires_mosquitto, running_mosquitto
from tests.live.keeping_model import OPENING, KeepingModel, keeping_model
from tests.live.looking import look_again
from tests.live.test_device_rooms import ROOMS, PahoDevice, device_at
from tests.plain_http import plain_http
from tests.store.postgres import SHARED, PostgresServer, requires_postgres
from tests.web.rooms.members import Member, plain, websocket

pytestmark = [pytest.mark.live, requires_postgres(), requires_mosquitto()]

REPLY = f"{OPENING}two three."


@dataclass
class Person:
    """A member of the room, which keeps one number to come back with.

    Attributes:
        messages: texts by id; a message that comes again must be the same.
        replies: their texts so far, by stream id.
        ended: ids of the streams that have ended.
    """

    messages: dict[int, str] = field(default_factory=dict)
    replies: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    after: int | None = None
    member: Member = field(init=False)

    async def join(self, member: Member, room: str) -> None:
        self.member = member
        more = {} if self.after is None else {"after": self.after}
        answer = await member.done("room:join", {"roomId": room, **more})
        self.after = answer["after"]

    async def until_message(self, text: str) -> None:
        while text not in self.messages.values():
            self._take(*await self.member.event())

    async def until_reply(self, stream_id: str, text: str, *, ended: bool = False) -> None:
        while self.replies.get(stream_id) != text or (ended and stream_id not in self.ended):
            self._take(*await self.member.event())

    def _take(self, name: str, data: dict[str, Any]) -> None:
        self.after = data.get("after", self.after)
        match name:
            case "message:new":
                assert self.messages.setdefault(data["messageId"], data["content"]) == data["content"]
                if (stream_id := data.get("streamId")) is not None:
                    self.replies[stream_id] = self.messages.pop(data["messageId"])
                    self.ended.add(stream_id)
            case "reply:start":
                self.replies[data["streamId"]] = data["content"]
            case "reply:chunk":
                assert len(self.replies[data["streamId"]]) == data["position"]
                self.replies[data["streamId"]] += data["content"]
            case "reply:done":
                assert data["status"] == "complete"
                assert len(self.replies[data["streamId"]]) == data["length"]
                self.ended.add(data["streamId"])


def text_of(device: PahoDevice, stream_id: str) -> str:
    """Return the text of a reply: another gateway begins it again."""
    text = ""
    for frame in device.heard:
        if frame["type"] == "chunk" and frame["id"] == stream_id:
            assert frame["position"] <= len(text)
            text = text[: frame["position"]] + frame["text"]
    return text


async def until_text(device: PahoDevice, stream_id: str, text: str) -> None:
    await device.until(lambda _: text_of(device, stream_id) == text)


def messages_of(device: PahoDevice) -> list[str]:
    return [frame["text"] for frame in device.heard if frame["type"] == "message"]


@dataclass
class Site:
    """gateways: with their URLs. held: the device of each gateway."""

    gateways: list[tuple[ForkedGateway, str]]
    held: list[PahoDevice]
    model: KeepingModel
    room: str


@asynccontextmanager
async def site(folder: Path, postgres: PostgresServer) -> AsyncIterator[Site]:
    database = postgres.emptied()
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(running_mosquitto())
        model = await stack.enter_async_context(keeping_model())
        gateways: list[tuple[ForkedGateway, str]] = []
        for name in ("gateway-1", "gateway-2"):
            url = f"http://127.0.0.1:{(port := free_port())}"
            gateway = ForkedGateway(
                folder / f"{name}.log",
                DATABASE_URL=database,
                GATEWAY_NAME=name,
                INTERNAL_URL=url,
                LLM_SERVER_URL=model.url,
                MQTT_BROKER_HOST=broker.address.host,
                MQTT_BROKER_PORT=str(broker.address.port),
                PORT=str(port),
            )
            stack.push_async_callback(gateway.kill)
            gateways.append((gateway, url))
        await asyncio.gather(*(gateway.start() for gateway, _ in gateways))
        while not all("is on this database too" in gateway.said for gateway, _ in gateways):
            await look_again()
        names = held_names(postgres.sql("SELECT owner FROM gateways ORDER BY owner", SHARED).split())
        held = [await stack.enter_async_context(device_at(broker.address, name)) for name in names]
        async with plain_http(gateways[0][1]) as http:
            members = [{"user": "ben"}, *({"device": name} for name in names)]
            key = (await http.post(ROOMS, json={"members": members})).json()["key"]
        yield Site(gateways, held, model, key)


def held_names(owners: list[str]) -> list[str]:
    """Return the name of a device for each gateway that holds it."""
    return [
        next(name for name in robots() if max(owners, key=partial(weight, name)) == owner) for owner in owners
    ]


def robots() -> Iterator[str]:
    return (f"robot-{number}" for number in count())


async def present(at: Site, person: Person) -> None:
    """Wait until all are in the room, as a person sees it."""
    expected = {"anna", "ben", *(device.name for device in at.held)}
    while True:
        answer = await person.member.done("room:join", {"roomId": at.room})
        if {one["userId"] for one in answer["people"]} == expected:
            return
        await person.member.event()


@pytest.mark.parametrize("makes_the_reply", [False, True])
async def test_a_room_goes_on_when_the_gateway_of_a_device_is_killed(
    tmp_path: Path, postgres: PostgresServer, makes_the_reply: bool
) -> None:
    anna, ben = Person(), Person()
    async with (
        asyncio.timeout(240),
        site(tmp_path, postgres) as at,
        websocket(at.gateways[1][1], {"userId": "ben"}) as bens,
        AsyncExitStack() as stack,
    ):
        robot, sensor = at.held
        await ben.join(bens, at.room)
        await anna.join(
            await stack.enter_async_context(plain(at.gateways[0][1], {"userId": "anna"})), at.room
        )
        for person in (anna, ben):
            await present(at, person)
        await anna.member.done("message:send", {"content": "Good evening."})
        robot.chat("c1", "It is warm.", session=at.room, ask=False)
        await sensor.frame("message", text="It is warm.")
        asks = anna if makes_the_reply else ben
        asked = await asks.member.done("message:send", {"content": "@model Count."})
        stream_id = asked["streamId"]
        for device in at.held:
            await until_text(device, stream_id, OPENING)
        sensor.chat("c2", "It counts.", session=at.room, ask=False)
        for person in (anna, ben):
            await person.until_reply(stream_id, OPENING)
            await person.until_message("It counts.")
        await robot.frame("message", text="It counts.")

        await at.gateways[0][0].kill()
        at.model.say("two ")
        await anna.join(
            await stack.enter_async_context(plain(at.gateways[1][1], {"userId": "anna"})), at.room
        )
        for device in at.held:
            await until_text(device, stream_id, f"{OPENING}two ")
        at.model.say("three.")
        at.model.end()
        for person in (anna, ben):
            await person.until_reply(stream_id, REPLY, ended=True)
        for device in at.held:
            await device.frame("end", id=stream_id, length=len(REPLY))
            assert text_of(device, stream_id) == REPLY
        await ben.member.done("message:send", {"content": "Good night."})
        await asyncio.gather(*(person.until_message("Good night.") for person in (anna, ben)))
        await asyncio.gather(*(device.frame("message", text="Good night.") for device in at.held))

        everything = ["Good evening.", "It is warm.", "@model Count.", "It counts.", "Good night."]
        for person in (anna, ben):
            assert sorted(person.messages.items()) == list(person.messages.items())
            assert [*person.messages.values()] == everything
        assert messages_of(robot) == [text for text in everything if text != "It is warm."]
        assert messages_of(sensor) == [text for text in everything if text != "It counts."]
        assert at.model.asked["POST /v1/chat/completions"] == 1
