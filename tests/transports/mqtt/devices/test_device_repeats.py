"""A chat has one answer: messages that come twice, gateways that restart, and two that hear the same."""

import asyncio
from pathlib import Path

import pytest

from gateway.contract.errors import Overloaded, UpstreamFailed
from gateway.contract.events import Delta, Finished
from gateway.contract.ingress import DeviceChat
from gateway.contract.requests import ChatRequest
from tests.transports.mqtt.device_scene import (
    Slow,
    chats_of,
    device_at,
    rows,
    scene,
    second_core,
    second_gateway,
)
from tests.transports.mqtt.memory_link import MemoryBroker
from transports.mqtt.devices import answers
from transports.mqtt.devices.answers import REMEMBERED_ANSWERS
from transports.mqtt.devices.ingress import MqttIngress
from transports.scripted import Step, tokens


async def test_a_chat_that_comes_again_while_it_runs_is_accepted_again_and_nothing_else(
    tmp_path: Path,
) -> None:
    script = Slow()
    async with scene(tmp_path, script) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("chunk")
        at.device.chat("c1", "Hi")
        await at.device.until("accept", count=2)
        script.go_on.set()
        await at.device.until("end")
        await at.settled()
        assert await rows(at.home) == 2
    assert at.device.types()[:3] == ["accept", "chunk", "accept"]
    assert at.device.types()[3:].count("accept") == 0
    assert at.device.heard[2] == at.device.heard[0]
    assert at.device.text() == "one two three"


async def test_a_chat_of_stream_false_that_comes_again_is_still_answered_once(tmp_path: Path) -> None:
    script = Slow()
    async with scene(tmp_path, script) as at:
        at.device.chat("c1", "Hi", stream=False)
        at.device.chat("c1", "Hi", stream=False)
        script.go_on.set()
        await at.device.until("reply")
        at.device.chat("c1", "Hi", stream=False)
        await at.settled()
    assert at.device.types() == ["reply"]


async def test_a_chat_that_comes_again_after_its_answer_went_out_is_not_answered_again(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, lambda _: tokens("yes")) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("end")
        await at.settled()
        heard = len(at.device.heard)
        at.device.chat("c1", "Hi")
        await at.settled()
        assert len(at.device.heard) == heard
        assert await rows(at.home) == 2


async def test_a_chat_that_comes_again_later_has_lost_its_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker may have acknowledged the end, and sent it into a connection that was dead."""
    monkeypatch.setattr(answers, "CROSSING_S", 0)
    async with scene(tmp_path, lambda _: tokens("the ", "answer")) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("end")
        await at.settled()
        at.device.chat("c1", "Hi")
        reply = await at.device.until("reply")
        assert await rows(at.home) == 2
    assert (reply["text"], reply["reason"]) == ("the answer", "stop")
    assert at.device.types().count("reply") == 1


async def test_after_a_restart_a_chat_that_was_answered_gets_its_kept_text_in_one_reply(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, lambda _: tokens("the ", "answer")) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("end")
    async with scene(tmp_path, lambda _: tokens("another")) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("reply")
        at.device.chat("c1", "Hi")
        await at.settled()
        assert await rows(at.home) == 2
    assert at.device.types() == ["reply"]
    assert (at.device.heard[0]["text"], at.device.heard[0]["reason"]) == ("the answer", "stop")


async def test_after_a_restart_a_chat_that_failed_gets_its_error(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: [[Delta("half")], UpstreamFailed("broke")]) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("error")
    async with scene(tmp_path, lambda _: tokens("another")) as at:
        at.device.chat("c1", "Hi")
        error = await at.device.until("error")
        await at.settled()
    assert at.device.types() == ["error"]
    assert (error["code"], error["message"]) == ("upstream_error", "broke")


async def test_the_same_id_with_another_text_is_a_conflict(tmp_path: Path) -> None:
    script = Slow()
    async with scene(tmp_path, script) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("chunk")
        at.device.chat("c1", "something else")
        running = await at.device.until("error")
        script.go_on.set()
        await at.device.until("end")
        await at.settled()
        at.device.chat("c1", "something else")
        answered = await at.device.until("error", count=2)
    async with scene(tmp_path, script) as at:
        at.device.chat("c1", "something else")
        after_a_restart = await at.device.until("error")
        assert await rows(at.home) == 2
    assert [error["code"] for error in (running, answered, after_a_restart)] == ["conflict"] * 3


async def test_the_same_id_of_two_devices_are_two_chats(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: tokens("yes")) as at:
        other = device_at(at.broker, "robot-2")
        at.device.chat("c1", "Hi")
        other.chat("c1", "something else")
        await at.device.until("end")
        await other.until("end")
        assert await rows(at.home) == 4


async def test_no_more_answers_are_remembered_than_it_says() -> None:
    asked: list[DeviceChat] = []

    async def nobody(chat: DeviceChat) -> None:
        asked.append(chat)

    ingress = MqttIngress(MemoryBroker().link("gateway"), nobody)
    for number in range(REMEMBERED_ANSWERS + 5):
        ingress._answers.remember(DeviceChat("robot-1", str(number), "Hi"))
    assert len(ingress._answers._answered) == REMEMBERED_ANSWERS
    assert next(iter(ingress._answers._answered)) == ("robot-1", "5")


async def test_what_nobody_heard_is_told_when_the_device_asks_again(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: tokens("the ", "answer")) as at:
        name = "deaf"
        at.broker.publish(f"sluice/v1/devices/{name}/up", b'{"type":"chat","id":"c1","text":"Hi"}')
        await asyncio.sleep(0)
        await at.settled()
        deaf = device_at(at.broker, name)
        deaf.chat("c1", "Hi")
        await deaf.until("reply")
        await at.settled()
    assert [(frame["type"], frame["text"]) for frame in deaf.heard] == [("reply", "the answer")]


async def test_of_two_gateways_that_both_hear_a_chat_one_answers(tmp_path: Path) -> None:
    requests: list[ChatRequest] = []

    def script(request: ChatRequest) -> list[Step]:
        requests.append(request)
        return tokens("yes")

    async with scene(tmp_path, script, anothers_s=5) as at, second_gateway(at) as second:
        for number in range(20):
            at.device.chat(f"c{number}", "Hi")
            await at.device.until("end", id=f"c{number}")
            await at.settled()
            await second.idle()
        assert await rows(at.home) == 40
    assert len(requests) == 20
    assert at.device.types().count("accept") == at.device.types().count("end") == 20
    assert "error" not in at.device.types()
    assert "reply" not in at.device.types()


async def test_what_another_gateway_has_just_answered_is_left_to_it(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: tokens("yes")) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("end")
        other = second_core(at.home)
        chat = DeviceChat("robot-1", "c1", "Hi")
        for after_s in (0, -0.5):  # this gateway's estimate of the database's clock may be behind
            assert await chats_of(other, anothers_s=5, after_s=after_s)(chat) is None
        assert isinstance(await chats_of(other, anothers_s=5, after_s=5)(chat), Finished)


async def test_an_answer_from_before_the_clock_was_set_back_is_sent_again(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: tokens("yes")) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("end")
        other = second_core(at.home)
        for anothers_s in (0, 5):
            answer = await chats_of(other, anothers_s=anothers_s, after_s=-3600)(
                DeviceChat("robot-1", "c1", "Hi")
            )
            assert isinstance(answer, Finished)


async def test_what_has_just_ended_here_is_answered_here(tmp_path: Path) -> None:
    """A gateway that took the reply over answers it, although it may have ended by then."""
    async with scene(tmp_path, lambda _: tokens("yes")) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("end")
        await at.settled()
        answer = await chats_of(at.home, anothers_s=5)(DeviceChat("robot-1", "c1", "Hi"))
        assert isinstance(answer, Finished)


async def test_what_another_gateway_is_answering_is_left_to_it(tmp_path: Path) -> None:
    script = Slow()
    async with scene(tmp_path, script) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("chunk")
        assert await chats_of(second_core(at.home))(DeviceChat("robot-1", "c1", "Hi")) is None
        script.go_on.set()


async def test_a_chat_that_comes_again_before_a_full_link_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise Overloaded("too many messages wait for the MQTT broker")

    script = Slow()
    async with scene(tmp_path, script) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("chunk")
        with monkeypatch.context() as patch:
            patch.setattr(at.link, "publish", full)
            at.link.deliver("sluice/v1/devices/robot-1/up", b'{"type":"chat","id":"c1","text":"Hi"}', False)
        script.go_on.set()
        await at.device.until("end")
    assert at.device.text() == "one two three"
