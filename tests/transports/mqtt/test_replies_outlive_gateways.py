"""Replies over MQTT survive their gateway and lost connections: no character is lost, none comes twice."""

import asyncio
from collections.abc import Iterable

import pytest

from gateway.contract.errors import Interrupted, Unreachable, WorkerLost
from gateway.contract.events import Delta, Done
from tests.transports.mqtt.kept_house import INBOX, House, Reply, in_two_halves
from transports.mqtt.protocol.frame_codec import encode
from transports.mqtt.protocol.frames import CancelFrame, ChunkFrame, ForgetFrame, ResumeFrame
from transports.scripted import Step

GATEWAY_STATUS = "r/gateways/gw/status"


async def left_by_a_killed_gateway(house: House, text: str = "ab") -> Reply:
    """Return a reply of which the gateway got this text."""
    async with house.gateway(7) as killed:
        reply = killed.ask()
        await reply.until(text)
        await killed.kill()
    return reply


async def test_the_next_start_of_a_killed_gateway_hears_everything() -> None:
    async with House(in_two_halves).running() as house:
        first = await left_by_a_killed_gateway(house)
        async with house.gateway(8) as gateway:
            reply = gateway.reattach(first.handles[-1])
            await reply.until("ab")
            house.go_on()
            await reply.end()
        assert (reply.text, reply.error) == ("abcd", None)
        assert reply.done is not None
        assert reply.done.reason == "stop"
        assert len(house.model.seen_requests) == 1, "the model was asked once"


async def test_another_gateway_hears_everything() -> None:
    async with House(in_two_halves).running() as house, house.gateway(5, "other") as other:
        first = await left_by_a_killed_gateway(house)
        reply = other.reattach(first.handles[-1])
        await reply.until("ab")
        house.go_on()
        assert (await reply.end()).text == "abcd"


async def test_the_model_goes_on_while_no_gateway_is_there() -> None:
    async with House(in_two_halves).running() as house:
        first = await left_by_a_killed_gateway(house)
        house.go_on()
        await house.worker.idle()
        async with house.gateway(8) as gateway:
            assert (await gateway.reattach(first.handles[-1]).end()).text == "abcd"


async def test_the_handle_is_stored_once_when_the_worker_accepts() -> None:
    async with House(in_two_halves).running() as house, house.gateway() as gateway:
        reply = gateway.ask()
        await reply.until("ab")
        house.go_on()
        await reply.end()
        id = reply.conversation_id
        assert reply.handles == [
            {"conversation_id": id, "worker": "w", "incarnation": 3, "request": id, "model": None}
        ]


async def test_a_gateway_that_dies_before_the_worker_is_stored_loses_nothing() -> None:
    async with House(in_two_halves).running() as house:
        first = await left_by_a_killed_gateway(house)
        async with house.gateway(8) as gateway:
            reply = gateway.reattach({"conversation_id": first.conversation_id})
            await reply.until("ab")
            assert reply.handles[-1]["worker"] == "w"
            house.go_on()
            assert (await reply.end()).text == "abcd"
        assert len(house.model.seen_requests) == 1


async def test_a_reply_that_no_worker_has_is_asked_for_again_later() -> None:
    async with House(in_two_halves).running() as house, house.gateway() as gateway:
        reply = await gateway.reattach({"conversation_id": "d" * 32}).end()
        assert isinstance(reply.error, Unreachable)
        assert reply.handles == []


async def test_a_reply_whose_worker_is_not_stored_is_stopped_where_it_is_made() -> None:
    house = House(in_two_halves)
    async with house.running(), house.gateway(5, "other") as other, house.gateway(7) as frozen:
        first = frozen.ask()
        await first.until("ab")
        other.transport.abilities.stop({"conversation_id": first.conversation_id}, 1)
        await house.worker.idle()
        assert [error.code for error in house.errors_to("gw")] == ["cancelled"]


async def test_a_reply_whose_worker_is_not_stored_is_stopped_when_its_worker_is_back() -> None:
    house = House(in_two_halves)
    async with house.running(), house.gateway(5, "other") as other, house.gateway(7) as frozen:
        first = frozen.ask()
        await first.until("ab")
        house.worker_link.lose_connection()
        await asyncio.sleep(0)
        other.transport.abilities.stop({"conversation_id": first.conversation_id}, 1)
        house.worker_link.connect()
        await house.worker.idle()


@pytest.mark.parametrize("id", [None, 7, "", "d" * 129])
async def test_a_handle_without_a_valid_id_stops_nothing(id: object) -> None:
    async with House(in_two_halves).running() as house, house.gateway(5) as gateway:
        sent = len(gateway.link.sent)
        gateway.transport.abilities.stop({"conversation_id": id}, 1)
        assert gateway.link.sent[sent:] == []


async def test_a_reply_can_be_taken_over_again_and_again() -> None:
    async with House(in_two_halves).running() as house:
        first = await left_by_a_killed_gateway(house)
        for epoch in range(1, 5):
            async with house.gateway(7 + epoch) as killed:
                await killed.reattach(first.handles[-1], epoch).until("ab")
                await killed.kill()
        house.go_on()
        async with house.gateway(20) as gateway:
            assert (await gateway.reattach(first.handles[-1], 5).end()).text == "abcd"
        assert len(house.model.seen_requests) == 1


async def test_a_gateway_that_loses_the_broker_for_a_moment_loses_nothing() -> None:
    async with House(in_two_halves).running() as house, house.gateway() as gateway:
        reply = gateway.ask()
        await reply.until("ab")
        gateway.link.lose_connection()
        house.go_on()
        await house.worker.idle()
        gateway.link.connect()
        await reply.end()
        assert (reply.text, reply.error) == ("abcd", None)


async def test_a_reply_whose_accept_was_lost_with_the_broker_is_made_once() -> None:
    begun = asyncio.Event()

    def script(house: House) -> Iterable[Step]:
        begun.set()
        return in_two_halves(house)

    async with House(script).running() as house, house.gateway() as gateway:
        house.broker.publishes_wills = False
        house.worker_link.stuck = True
        reply = gateway.ask()
        await begun.wait()
        gateway.link.lose_connection()
        house.worker_link.lose_connection()
        house.worker_link.stuck = False
        house.go_on()
        gateway.link.connect()
        house.worker_link.connect()
        await reply.end()
        assert (reply.text, reply.error) == ("abcd", None)
        assert len(house.model.seen_requests) == 1
        assert [handle["worker"] for handle in reply.handles] == ["w"]


async def test_a_request_that_was_lost_with_the_broker_is_sent_again() -> None:
    async with House(in_two_halves).running() as house, house.gateway() as gateway:
        house.broker.publishes_wills = False
        gateway.link.stuck = True
        reply = gateway.ask()
        await asyncio.sleep(0)
        gateway.link.lose_connection()
        gateway.link.stuck = False
        house.go_on()
        gateway.link.connect()
        await reply.end()
        assert (reply.text, reply.error) == ("abcd", None)
        assert len(reply.handles) == 1


async def test_a_worker_that_loses_the_broker_for_a_moment_loses_nothing() -> None:
    async with House(in_two_halves).running() as house, house.gateway() as gateway:
        reply = gateway.ask()
        await reply.until("ab")
        house.worker_link.lose_connection()
        house.go_on()
        await house.worker.idle()
        house.worker_link.connect()
        await reply.end()
        assert (reply.text, reply.error) == ("abcd", None)
        assert len(house.model.seen_requests) == 1


async def test_both_lose_the_broker_and_the_worker_is_back_last() -> None:
    async with House(in_two_halves).running() as house, house.gateway() as gateway:
        reply = gateway.ask()
        await reply.until("ab")
        house.broker.publishes_wills = False
        gateway.link.lose_connection()
        house.worker_link.lose_connection()
        gateway.link.connect()  # and finds the retained `ready` of the worker, which is not there yet
        house.go_on()
        await house.worker.idle()
        house.worker_link.connect()
        await reply.end()
        assert (reply.text, reply.error) == ("abcd", None)


async def test_a_worker_that_started_anew_has_nothing() -> None:
    async with House(in_two_halves).running() as house, house.gateway(8) as gateway:
        handle = {"worker": "w", "incarnation": 2, "request": "1" * 32, "conversation_id": "c" * 32}
        reply = await gateway.reattach(handle).end()
    assert isinstance(reply.error, Interrupted)


@pytest.mark.parametrize(
    "handle",
    [
        {"worker": "w"},
        {"worker": "w", "incarnation": "3", "request": "1"},
        {"worker": "w", "incarnation": -1, "request": "1"},
        {"worker": "w", "incarnation": 3, "request": ""},
        {"worker": "+", "incarnation": 3, "request": "1"},
        {"worker": "../w", "incarnation": 3, "request": "1"},
        {"worker": None, "incarnation": 3, "request": "1"},
        {"worker": "w", "incarnation": 3, "request": "1" * 200},
    ],
    ids=str,
)
async def test_a_handle_of_something_else_is_interrupted(handle: dict[str, object]) -> None:
    async with House(in_two_halves).running() as house, house.gateway() as gateway:
        reply = await gateway.reattach(handle).end()
        assert isinstance(reply.error, Interrupted)
        gateway.transport.abilities.forget(handle, 1)
        assert not [topic for topic, _ in gateway.link.sent if topic == INBOX]


async def test_an_unknown_reply_is_interrupted() -> None:
    async with House(in_two_halves).running() as house, house.gateway() as gateway:
        handle = {"worker": "w", "incarnation": 3, "request": "1" * 32, "conversation_id": "c" * 32}
        reply = await gateway.reattach(handle).end()
        assert isinstance(reply.error, Interrupted)
        assert [error.code for error in house.errors_to("gw")] == ["unknown"]


async def test_a_forgotten_reply_is_unknown() -> None:
    async with House(in_two_halves).running() as house, house.gateway() as gateway:
        house.go_on()
        reply = await gateway.ask().end()
        gateway.transport.abilities.forget(reply.handles[-1], 0)
        again = await gateway.reattach(reply.handles[-1]).end()
        assert isinstance(again.error, Interrupted)


async def test_an_ended_reply_is_kept_until_it_is_forgotten() -> None:
    async with House(in_two_halves).running() as house, house.gateway() as gateway:
        house.go_on()
        reply = await gateway.ask().end()
        assert (await gateway.reattach(reply.handles[-1], 1).end()).text == "abcd"
        assert (await gateway.reattach(reply.handles[-1], 2).end()).text == "abcd"


async def test_a_gateway_that_was_cut_off_cannot_stop_the_reply_of_the_next_one() -> None:
    async with House(in_two_halves).running() as house, house.gateway(7) as cut_off:
        first = cut_off.ask()
        await first.until("ab")
        cut_off.link.lose_connection()
        async with house.gateway(8, "other") as other:
            reply = other.reattach(first.handles[-1])
            await reply.until("ab")
            request_id = first.handles[-1]["request"]
            house.worker_link.deliver(INBOX, encode(CancelFrame(request_id)), False)
            house.worker_link.deliver(INBOX, encode(ForgetFrame(request_id)), False)
            resume = ResumeFrame(request_id, "r/gateways/gw/replies/w", 0)
            house.worker_link.deliver(INBOX, encode(resume), False)
            house.worker_link.deliver(INBOX, encode(ResumeFrame(request_id, resume.reply_to, 1)), False)
            assert house.worker.dropped["overtaken"] == 4
            house.go_on()
            await reply.end()
            assert (reply.text, reply.error) == ("abcd", None)


async def test_the_gateway_that_took_over_can_stop_the_reply() -> None:
    async with House(in_two_halves).running() as house:
        first = await left_by_a_killed_gateway(house)
        async with house.gateway(8) as gateway:
            reply = gateway.reattach(first.handles[-1])
            await reply.until("ab")
            await reply.stop()
            await house.worker.idle()
        assert house.worker.dropped["overtaken"] == 0


async def test_a_lost_frame_is_asked_for_again() -> None:
    """As when the broker drops messages, because many replies are sent again at once."""
    async with House(in_two_halves).running() as house:
        first = await left_by_a_killed_gateway(house)
        async with house.gateway(8) as gateway:
            reply = gateway.reattach(first.handles[-1])
            await reply.until("ab")
            asked_again = asyncio.Event()
            listener = house.broker.link("listener")
            listener.subscribe(INBOX, lambda *_: asked_again.set())
            listener.connect()
            early = ChunkFrame(first.handles[-1]["request"], 4, "d")
            gateway.link.deliver("r/gateways/gw/replies/w", encode(early), False)
            await asked_again.wait()
            house.go_on()
            await reply.end()
            assert (reply.text, reply.error) == ("abcd", None)


async def test_a_gateway_that_leaves_a_reply_to_another_does_not_stop_it() -> None:
    async with House(in_two_halves).running() as house, house.gateway(7) as fenced:
        first = fenced.ask()
        await first.until("ab")
        first.left = True
        await first.stop()
        async with house.gateway(8, "other") as other:
            reply = other.reattach(first.handles[-1])
            await reply.until("ab")
            house.go_on()
            assert (await reply.end()).text == "abcd"


async def test_a_stop_while_the_worker_is_away_reaches_it_when_it_is_back() -> None:
    async with House(in_two_halves).running() as house, house.gateway() as gateway:
        reply = gateway.ask()
        await reply.until("ab")
        house.worker_link.lose_connection()
        await asyncio.sleep(0)
        await reply.stop()
        assert house.worker.busy == 1
        house.worker_link.connect()
        await house.worker.idle()


async def test_without_a_resume_the_worker_stops_the_reply() -> None:
    async with House(in_two_halves).running() as house:
        async with house.gateway(7) as killed:
            first = killed.ask(keep_s=0.05)
            await first.until("ab")
            await killed.kill()
        house.worker_link.deliver(GATEWAY_STATUS, b'{"type":"status","state":"ready","incarnation":8}', False)
        await house.worker.idle()
        async with house.gateway(8) as gateway:
            assert isinstance((await gateway.reattach(first.handles[-1]).end()).error, Interrupted)


async def test_a_reply_too_large_to_be_kept_goes_on_with_its_gateway_alone() -> None:
    def long(house: House) -> Iterable[Step]:
        return [
            [Delta("x" * 500)],
            house.may_go_on.acquire,
            [Delta("y" * 5_000)],
            house.may_go_on.acquire,
            [Done("stop")],
        ]

    async with House(long, keep_reply_bytes=3_000).running() as house, house.gateway() as gateway:
        reply = gateway.ask()
        await reply.until("x" * 500)
        house.go_on()
        await reply.until("x" * 500 + "y" * 5_000)
        again = await gateway.reattach({**reply.handles[-1], "request": "0"}).end()
        assert isinstance(again.error, Interrupted)
        assert [error.code for error in house.errors_to("gw")] == ["unknown"]
        async with house.gateway(3, "other") as other:
            assert isinstance((await other.reattach(reply.handles[-1]).end()).error, Interrupted)
            assert [error.code for error in house.errors_to("other")] == ["gone"]


async def test_a_reply_too_large_to_be_kept_stops_while_no_gateway_is_there() -> None:
    def long(house: House) -> Iterable[Step]:
        return [[Delta("x")], house.may_go_on.acquire, [Delta("y" * 5_000)]]

    async with House(long, keep_reply_bytes=3_000).running() as house:
        await left_by_a_killed_gateway(house, "x")
        async with house.gateway(8):
            house.go_on()
            await house.worker.idle()


async def test_the_oldest_ended_reply_makes_room() -> None:
    def script(house: House) -> Iterable[Step]:
        return [[Delta("x" * 1_000)], [Done("stop")]]

    async with House(script, keep_bytes=8_000).running() as house, house.gateway() as gateway:
        replies = [await gateway.ask().end() for _ in range(5)]
        assert house.worker._requests._kept._size <= 8_000
        found = [await gateway.reattach(reply.handles[-1]).end() for reply in replies]
        assert [reply.error is None for reply in found] == [False, False, True, True, True]


async def test_a_worker_that_keeps_nothing_works_as_before() -> None:
    async with House(in_two_halves, keep_bytes=0).running() as house, house.gateway() as gateway:
        reply = gateway.ask()
        await reply.until("ab")
        assert reply.handles == []
        assert b"keep_s" not in b"".join(payload for _, payload in gateway.link.sent)
        gateway.link.lose_connection()
        assert isinstance((await reply.end()).error, WorkerLost)


async def test_a_flood_of_resumes_sends_no_more_than_the_link_takes() -> None:
    async with House(in_two_halves).running() as house, house.gateway() as gateway:
        house.go_on()
        reply = await gateway.ask().end()
        house.worker_link.stuck = True
        sent = len(house.worker_link.sent)
        resume = ResumeFrame(reply.handles[-1]["request"], "r/gateways/gw/replies/w", 0)
        for _ in range(1_000):
            house.worker_link.deliver(INBOX, encode(resume), False)
        assert len(house.worker_link.sent) - sent <= 8


async def test_detached_replies_count_as_busy() -> None:
    async with House(in_two_halves).running() as house:
        async with house.gateway(7) as killed:
            await killed.ask().until("ab")
            await killed.kill()
        async with house.gateway(8):
            assert house.worker.busy == 1


async def test_a_worker_without_broker_stops_when_nobody_resumes() -> None:
    async with House(in_two_halves).running() as house, house.gateway() as gateway:
        await gateway.ask(keep_s=0.05).until("ab")
        house.worker_link.lose_connection()
        await house.worker.idle()


async def test_a_cancel_drops_an_ended_reply() -> None:
    async with House(in_two_halves).running() as house, house.gateway() as gateway:
        house.go_on()
        reply = await gateway.ask().end()
        house.worker_link.deliver(INBOX, encode(CancelFrame(reply.handles[-1]["request"])), False)
        assert isinstance((await gateway.reattach(reply.handles[-1]).end()).error, Interrupted)


async def test_a_gateways_status_may_arrive_after_its_resume() -> None:
    async with House(in_two_halves).running() as house, house.gateway() as gateway:
        reply = gateway.ask()
        await reply.until("ab")
        resume = ResumeFrame(reply.handles[-1]["request"], "r/gateways/gw/replies/w", 0, incarnation=8)
        house.worker_link.deliver(INBOX, encode(resume), False)
        ready = b'{"type":"status","state":"ready","incarnation":8}'
        house.worker_link.deliver(GATEWAY_STATUS, ready, False)
        house.go_on()
        assert (await reply.end()).text == "abcd"
