"""The event that takes little memory."""

import asyncio

from gateway.contract.light_event import LightEvent


async def test_everybody_who_waits_goes_on_when_it_is_set() -> None:
    event = LightEvent()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(event.wait())
        await asyncio.sleep(0)
        assert not event.is_set()
        event.set()
        event.set()
    assert event.is_set()


async def test_nobody_waits_for_an_event_that_is_set() -> None:
    event = LightEvent()
    event.set()
    async with asyncio.timeout(30):
        await event.wait()


async def test_a_waiter_that_gives_up_does_not_disturb_the_others() -> None:
    event = LightEvent()
    one, other = asyncio.ensure_future(event.wait()), asyncio.ensure_future(event.wait())
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.wait({one})
    event.set()
    async with asyncio.timeout(30):
        await other
    assert one.cancelled()


async def test_it_can_be_cleared() -> None:
    event = LightEvent(is_set=True)
    event.clear()
    waiting = asyncio.ensure_future(event.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    event.set()
    event.clear()
    async with asyncio.timeout(30):
        await waiting
    assert not event.is_set()
