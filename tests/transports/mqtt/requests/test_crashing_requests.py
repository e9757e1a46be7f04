"""Which workers are asked again when one broke off after it took a request: one more, and then none."""

import asyncio

import pytest

from gateway.contract.errors import NoWorker, Overloaded, TimedOut, UpstreamFailed, WorkerLost
from gateway.contract.events import Delta
from gateway.contract.requests import ChatRequest, Turn
from tests.transports.mqtt.requests.test_pending_request import (
    WITH_ACCEPT,
    Asked,
    Gateway,
    all_of,
    failure_of,
)
from transports.mqtt.protocol.frame_codec import decode_inbox
from transports.mqtt.protocol.frames import AcceptFrame, ChunkFrame, ErrorFrame, RequestFrame, Status, Whole


def asked(gateway: Gateway) -> list[str]:
    """The workers that got the request, in order."""
    return [name for name, kind in gateway.sent if kind == "RequestFrame"]


def last_request(gateway: Gateway) -> RequestFrame:
    requests = [decode_inbox(payload) for _, payload in gateway.link.sent]
    return [frame for frame in requests if isinstance(frame, RequestFrame)][-1]


def lose(gateway: Gateway, reply: Asked) -> None:
    """The reply's worker dies."""
    worker = reply.worker
    assert worker is not None
    gateway.presence.take(worker.name, Status("lost"), retained=False, now=0.0)
    reply.worker_lost(f"worker {worker.name} went away")


def three(status: Status = WITH_ACCEPT) -> Gateway:
    return Gateway(status, status, status)


async def test_a_request_that_two_workers_died_of_is_not_given_to_a_third() -> None:
    gateway = three()
    reply = gateway.ask()
    for name in "ab":
        gateway.say(AcceptFrame(gateway.attempt_id()), sender=name)
        lose(gateway, reply)
    failure = await failure_of(reply)
    assert asked(gateway) == ["a", "b"]
    assert (type(failure), failure.retryable) == (UpstreamFailed, False)
    assert "2 model servers broke off" in str(failure)


async def test_the_second_worker_hears_that_one_broke_off() -> None:
    gateway = three()
    reply = gateway.ask()
    assert last_request(gateway).broke_off == 0
    gateway.say(AcceptFrame(gateway.attempt_id()))
    lose(gateway, reply)
    assert last_request(gateway).broke_off == 1
    gateway.say(Whole(gateway.attempt_id(), "well"), sender="b")
    assert (await all_of(reply))[0] == Delta("well")


async def test_a_worker_that_never_accepts_had_the_request_when_it_died() -> None:
    gateway = three(Status("ready", heartbeat_s=10))
    reply = gateway.ask()
    lose(gateway, reply)
    lose(gateway, reply)
    assert type(await failure_of(reply)) is UpstreamFailed
    assert asked(gateway) == ["a", "b"]


async def test_workers_lost_before_their_accept_are_replaced_however_many_they_are() -> None:
    gateway = three()
    reply = gateway.ask()
    lose(gateway, reply)
    lose(gateway, reply)
    assert asked(gateway) == ["a", "b", "c"]
    assert last_request(gateway).broke_off == 0


async def test_missed_accepts_are_no_suspicion() -> None:
    gateway = three()
    gateway.ask()
    gateway.clock.advance(2.0)
    gateway.clock.advance(2.0)
    assert asked(gateway) == ["a", "b", "c"]
    assert last_request(gateway).broke_off == 0


async def test_a_lost_broker_is_no_suspicion() -> None:
    gateway = three()
    reply = gateway.ask()
    for name in "abc":
        gateway.say(AcceptFrame(gateway.attempt_id()), sender=name)
        gateway.presence.take(name, Status("lost"), retained=False, now=0.0)
        reply.broker_lost("the broker went away")
    gateway.presence.take("a", WITH_ACCEPT, retained=False, now=0.0)
    gateway.dispatch.serve()
    assert asked(gateway) == ["a", "b", "c", "a"]
    assert last_request(gateway).broke_off == 0


@pytest.mark.parametrize("other_answers", [True, False])
async def test_without_a_worker_it_waits_for_one_unless_another_transport_answers(
    other_answers: bool,
) -> None:
    gateway = Gateway(WITH_ACCEPT)
    reply = gateway.ask(other_answers=other_answers)
    gateway.presence.forget_all()
    reply.broker_lost("the broker went away")
    if other_answers:
        async with asyncio.timeout(30):
            assert type(await failure_of(reply)) is NoWorker
    else:
        gateway.presence.take("a", WITH_ACCEPT, retained=False, now=0.0)
        gateway.dispatch.serve()
        assert asked(gateway) == ["a", "a"]


@pytest.mark.parametrize("code", ["upstream_error", "protocol_violation", "on_fire"])
async def test_two_workers_that_failed_are_enough(code: str) -> None:
    gateway = three()
    reply = gateway.ask()
    for name in "ab":
        gateway.say(AcceptFrame(gateway.attempt_id()), sender=name)
        gateway.say(ErrorFrame(gateway.attempt_id(), code, "broke", True), sender=name)
    failure = await failure_of(reply)
    assert asked(gateway) == ["a", "b"]
    assert "2 model servers broke off" in str(failure)


async def test_two_servers_behind_the_first_worker_are_enough() -> None:
    gateway = three()
    reply = gateway.ask()
    gateway.say(ErrorFrame(gateway.attempt_id(), "upstream_error", "both broke", True, broke_off=2))
    assert type(await failure_of(reply)) is UpstreamFailed
    assert asked(gateway) == ["a"]


@pytest.mark.parametrize("code", ["overloaded", "loading", "unreachable"])
async def test_workers_that_only_cannot_now_are_passed_over(code: str) -> None:
    gateway = three()
    gateway.ask()
    for name in "ab":
        gateway.say(AcceptFrame(gateway.attempt_id()), sender=name)
        gateway.say(ErrorFrame(gateway.attempt_id(), code, "not now", True), sender=name)
    assert asked(gateway) == ["a", "b", "c"]
    assert last_request(gateway).broke_off == 0


async def test_a_request_over_which_a_server_broke_off_elsewhere_gets_one_worker() -> None:
    gateway = three()
    request = ChatRequest("f" * 32, [Turn("user", "hi")], broke_off=1)
    reply = Asked(request, gateway.requests, gateway.clock)
    reply.start()
    assert last_request(gateway).broke_off == 1
    gateway.say(AcceptFrame(gateway.attempt_id()))
    lose(gateway, reply)
    assert "2 model servers broke off" in str(await failure_of(reply))
    assert asked(gateway) == ["a"]


async def test_what_broke_off_is_told_also_by_the_error_of_another_worker() -> None:
    gateway = Gateway(WITH_ACCEPT, Status("ready"))
    reply = gateway.ask()
    gateway.say(AcceptFrame(gateway.attempt_id()))
    lose(gateway, reply)
    gateway.say(ErrorFrame(gateway.attempt_id(), "overloaded", "full", True), sender="b")
    failure = await failure_of(reply)
    assert isinstance(failure, Overloaded)
    assert failure.broke_off == 1


async def test_silence_after_the_accept_counts_as_a_server_that_broke_off() -> None:
    gateway = three()
    reply = gateway.ask()
    gateway.say(AcceptFrame(gateway.attempt_id()))
    gateway.clock.advance(30.0)
    failure = await failure_of(reply)
    assert isinstance(failure, TimedOut)
    assert failure.broke_off == 1


async def test_what_was_seen_is_kept_and_the_loss_is_told_as_it_is() -> None:
    gateway = three()
    reply = gateway.ask()
    gateway.say(ChunkFrame(gateway.attempt_id(), 1, "kept"))
    lose(gateway, reply)
    assert reply.news() == (Delta("kept"),)
    assert type(await failure_of(reply)) is WorkerLost
    assert asked(gateway) == ["a"]
