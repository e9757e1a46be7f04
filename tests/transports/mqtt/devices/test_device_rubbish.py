"""Whatever devices and strangers send: nothing raises, nothing is asked, one line of log for each sender."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.ingress import DeviceChat
from tests.core.house import USER
from tests.transports.mqtt.device_end import DEVICES
from tests.transports.mqtt.device_scene import scene
from tests.transports.mqtt.memory_link import MemoryBroker
from transports.mqtt.devices.bounded_sender import MAX_UNANSWERED
from transports.mqtt.devices.device_chat import OpenChat
from transports.mqtt.devices.down_writer import DownWriter, Rhythm
from transports.mqtt.devices.ingress import MqttIngress
from transports.mqtt.devices.known_devices import MAX_KNOWN, KnownDevices
from transports.mqtt.devices.reply_delivery import ReplyDelivery
from transports.mqtt.protocol.device_frames import Chat
from transports.mqtt.protocol.frames import Status
from transports.scripted import tokens

UP = f"{DEVICES}/robot-1/up"
RUBBISH = {
    "empty": b"",
    "not JSON": b"rubbish",
    "not an object": b"[]",
    "bad UTF-8": b'{"type":"chat","id":"c1","text":"\xff\xfe"}',
    "deep JSON": b'{"type":"chat","id":' + b"[" * 100_000,
    "deep text": b'{"type":"chat","id":"c1","text":' + b"[" * 100_000,
    "no type": b'{"id":"c1","text":"Hi","state":"ready"}',
    "another type": b'{"type":"request","id":"c1","text":"Hi"}',
    "no id": b'{"type":"chat","text":"Hi"}',
    "an id that is no text": b'{"type":"chat","id":7,"text":"Hi"}',
    "an empty id": b'{"type":"chat","id":"","text":"Hi"}',
    "a long id": b'{"type":"chat","id":"' + b"x" * 129 + b'","text":"Hi"}',
    "1 MB": b'{"type":"chat","id":"c1","text":"' + b"x" * 1_000_000 + b'"}',
    "1 MB with its id at the end": b'{"type":"chat","text":"' + b"x" * 1_000_000 + b'","id":"c1"}',
    "cut off": b'{"type":"chat","id":"c1","text":"Hi',
    "an id within": b'{"type":"chat","more":{"id":"c2"},"text":"\\"id\\":\\"c3\\"","x',
    "half a surrogate": rb'{"type":"chat","id":"c1\ud800","text":"Hi"}',
}
MISFITS: dict[str, dict[str, Any]] = {
    "no text": {},
    "a number": {"text": 7},
    "null": {"text": None},
    "another version": {"text": "Hi", "v": 2},
    "a session that is no text": {"text": "Hi", "session": 7},
    "a long session": {"text": "Hi", "session": "x" * 129},
    "stream in words": {"text": "Hi", "stream": "yes"},
}


class Heard:
    """An ingress that must not be asked anything, and what it was asked all the same."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.link = self.broker.link("gateway")
        self.link.connect()
        self.asked: list[DeviceChat] = []
        self.ingress = MqttIngress(self.link, self._ask)

    async def _ask(self, chat: DeviceChat) -> None:
        self.asked.append(chat)

    async def take(self, topic: str, payload: bytes, retained: bool = False) -> None:
        """A message, handled here: what the handler raises fails the test."""
        async with self.ingress.running():
            self.link.deliver(topic, payload, retained)
            await self.ingress.idle()


ANSWERED = {
    "bad UTF-8": ("c1", "invalid"),
    "cut off": ("c1", "invalid"),
    "deep text": ("c1", "invalid"),
    "no type": ("c1", "invalid"),
    "1 MB": ("c1", "too_large"),
    "1 MB with its id at the end": ("c1", "too_large"),
}
"""Id and code of the errors that answer chats whose id can be read."""


@pytest.mark.parametrize("name", RUBBISH)
@pytest.mark.parametrize("level", ["cancel", "status"])
async def test_rubbish_is_counted_and_asks_nothing(level: str, name: str) -> None:
    heard = Heard()
    await heard.take(f"{DEVICES}/robot-1/{level}", RUBBISH[name])
    assert heard.asked == []
    assert sum(heard.ingress.dropped.values()) == (0 if (level, name) == ("status", "empty") else 1)
    assert heard.link.sent == []


@pytest.mark.parametrize("name", RUBBISH)
async def test_a_message_that_is_no_chat_is_answered_by_an_error(name: str) -> None:
    """An empty message clears a retained one, and other types may be those of a later version."""
    heard = Heard()
    await heard.take(UP, RUBBISH[name])
    assert heard.asked == []
    assert sum(heard.ingress.dropped.values()) == 1
    if name in ("empty", "another type"):
        assert heard.link.sent == []
        return
    ((topic, payload),) = heard.link.sent
    error = json.loads(payload)
    id, code = ANSWERED.get(name, (None, "invalid"))
    assert topic == f"{DEVICES}/robot-1/down"
    assert (error["type"], error["id"], error["code"], error["retryable"]) == ("error", id, code, False)
    assert len(error["message"]) > 20
    if code == "too_large":
        assert f"at most {heard.link.max_payload} bytes" in error["message"]


async def test_a_flood_of_rubbish_is_answered_as_long_as_the_broker_takes_the_errors() -> None:
    heard = Heard()
    heard.link.stuck = True
    for _ in range(3 * MAX_UNANSWERED):
        await heard.take(UP, b"rubbish")
    assert len(heard.link.sent) == MAX_UNANSWERED
    assert heard.ingress.dropped["error of a chat"] == 2 * MAX_UNANSWERED


@pytest.mark.parametrize("misfit", MISFITS.values(), ids=MISFITS.keys())
async def test_a_chat_that_does_not_fit_is_answered_by_an_error_with_its_id(misfit: dict[str, Any]) -> None:
    heard = Heard()
    await heard.take(UP, json.dumps({"type": "chat", "id": "c1", **misfit}).encode())
    ((topic, payload),) = heard.link.sent
    error = json.loads(payload)
    assert topic == f"{DEVICES}/robot-1/down"
    assert (error["type"], error["id"], error["code"], error["retryable"]) == (
        "error",
        "c1",
        "invalid",
        False,
    )
    assert heard.asked == []


@pytest.mark.parametrize("name", ["+", "#", "", "a b", "x" * 65, "näme", "$share", "a\0b"])
async def test_a_name_that_nobody_may_have_is_dropped(name: str) -> None:
    heard = Heard()
    for level, payload in (
        ("up", b'{"type":"chat","id":"c1","text":"Hi"}'),
        ("cancel", b'{"type":"cancel","id":"c1"}'),
        ("status", b'{"type":"status","state":"ready"}'),
    ):
        await heard.take(f"{DEVICES}/{name}/{level}", payload)
    assert heard.ingress.dropped == {"chat": 1, "cancel": 1, "status": 1}
    assert heard.asked == []
    assert not heard.ingress.has_heard(name)


async def test_what_was_retained_starts_and_stops_nothing() -> None:
    heard = Heard()
    await heard.take(UP, b'{"type":"chat","id":"c1","text":"Hi"}', retained=True)
    await heard.take(f"{DEVICES}/robot-1/cancel", b'{"type":"cancel","id":"c1"}', retained=True)
    assert heard.asked == []
    assert heard.ingress.dropped == {"chat": 1, "cancel": 1}


async def test_the_smallest_chat_and_unknown_fields_are_fine() -> None:
    heard = Heard()
    await heard.take(UP, b'{"type":"chat","id":"c1","text":"Hi","mood":["good"]}')
    assert heard.asked == [DeviceChat("robot-1", "c1", "Hi")]


async def test_a_flood_of_rubbish_is_one_line_of_log_for_each_sender(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard = Heard()
    for _ in range(50):
        await heard.take(UP, b"rubbish")
        await heard.take(f"{DEVICES}/robot-2/up", b"rubbish")
    assert len(caplog.records) == 2


async def test_a_chat_before_the_gateway_has_started_or_after_it_is_refused() -> None:
    heard = Heard()
    heard.link.deliver(UP, b'{"type":"chat","id":"c1","text":"Hi"}', False)
    error = json.loads(heard.link.sent[0][1])
    assert (error["code"], error["retryable"]) == ("draining", True)


async def test_good_chats_are_answered_in_the_midst_of_rubbish(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: tokens("yes")) as at:
        for payload in RUBBISH.values():
            at.broker.publish(UP, payload)
        at.device.chat("good", "Hi")
        await at.device.until("end")
        assert len(await at.home.store.sessions(USER)) == 1


def open_chat(name: str) -> OpenChat:
    link = MemoryBroker().link("gateway")
    rhythm = Rhythm(0.05, 512, 10)

    def new_writer(whole: bool, anew: bool) -> DownWriter:
        return DownWriter(link, f"{DEVICES}/{name}/down", "c1", rhythm, whole=whole, anew=anew)

    return OpenChat(name, Chat("c1", "Hi"), ReplyDelivery(new_writer, whole=False, grace_s=1, retry_s=0))


async def test_no_more_devices_are_known_than_it_says_and_none_with_an_open_chat_is_forgotten() -> None:
    devices = KnownDevices()
    devices.hear("busy").chats["c1"] = open_chat("busy")
    devices.hear("silent")
    devices.hear("talkative")
    for number in range(MAX_KNOWN - 1):
        devices.hear("talkative")
        devices.take(f"device-{number}", Status("ready"))
    assert "busy" in devices
    assert "talkative" in devices
    assert "silent" not in devices
    assert sum(f"device-{number}" in devices for number in range(MAX_KNOWN)) == MAX_KNOWN - 2
