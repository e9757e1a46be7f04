"""The event that a reply's end sets: like asyncio's, but that it is never cleared."""

import asyncio

from gateway.core.ended_event import EndedEvent


async def test_everybody_who_waits_goes_on_when_it_is_set() -> None:
    event = EndedEvent()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(event.wait())
        await asyncio.sleep(0)
        assert not event.is_set()
        event.set()
        event.set()
    assert event.is_set()


async def test_nobody_waits_for_an_event_that_is_set() -> None:
    event = EndedEvent()
    event.set()
    async with asyncio.timeout(30):
        await event.wait()


async def test_a_waiter_that_gives_up_does_not_disturb_the_others() -> None:
    event = EndedEvent()
    one, other = asyncio.ensure_future(event.wait()), asyncio.ensure_future(event.wait())
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.wait({one})
    event.set()
    async with asyncio.timeout(30):
        await other
    assert one.cancelled()
