"""A worker that stops stays, within its time, until gateways have stored the replies that it keeps."""

import asyncio
from collections.abc import Iterable

from gateway.contract.errors import Overloaded
from gateway.contract.events import Delta, Done
from tests.transports.mqtt.kept_house import House, in_two_halves
from transports.scripted import Step

LONG_S = 3600.0
"""More than a test takes."""


def in_one_piece(_: House) -> Iterable[Step]:
    return [[Delta("ab")], [Done("stop")]]


def that_is_full(_: House) -> Iterable[Step]:
    return [Overloaded("full")]


async def test_it_stays_until_the_next_start_of_a_killed_gateway_has_stored_the_reply() -> None:
    async with House(in_two_halves).running() as house:
        async with house.gateway(7) as killed:
            first = killed.ask()
            await first.until("ab")
            await killed.kill()
        drained = asyncio.create_task(house.worker.drain(LONG_S))
        house.go_on()
        await house.worker.idle()
        async with house.gateway(8, worker_drains=True) as gateway:
            assert (await gateway.reattach(first.handles[-1]).end()).text == "abcd"
            assert not drained.done()
            gateway.transport.abilities.forget(first.handles[-1], 1)
            await drained


async def test_it_stays_for_a_reply_that_ended_before_its_gateway_was_killed() -> None:
    async with House(in_one_piece).running() as house:
        async with house.gateway(7) as killed:
            first = await killed.ask().end()
            await killed.kill()
        drained = asyncio.create_task(house.worker.drain(LONG_S))
        async with house.gateway(8, worker_drains=True) as gateway:
            assert (await gateway.reattach(first.handles[-1]).end()).text == "ab"
            assert not drained.done()
            gateway.transport.abilities.forget(first.handles[-1], 1)
            await drained


async def test_it_does_not_stay_longer_than_its_time() -> None:
    async with House(in_one_piece).running() as house:
        async with house.gateway(7) as killed:
            await killed.ask().end()
            await killed.kill()
        await house.worker.drain(0.01)


async def test_it_does_not_stay_for_what_is_not_kept_or_was_stored() -> None:
    async with House(in_one_piece).running() as house, house.gateway() as gateway:
        await gateway.ask(keep_s=0).end()
        stored = await gateway.ask().end()
        gateway.transport.abilities.forget(stored.handles[-1], 0)
        await house.worker.drain(LONG_S)


async def test_it_does_not_stay_for_an_error_after_which_another_worker_is_asked() -> None:
    async with House(that_is_full).running() as house, house.gateway() as gateway:
        gateway.ask()
        while not house.errors_to("gw"):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
        await house.worker.drain(LONG_S)
