"""LightTimeout does what asyncio.timeout does."""

import asyncio
from contextlib import suppress

import pytest

from gateway.contract.light_timeout import LightTimeout


async def test_a_wait_that_ends_in_time_is_not_disturbed() -> None:
    with LightTimeout(30) as timeout:
        await asyncio.sleep(0)
    assert not timeout.expired


async def test_without_seconds_there_is_no_limit() -> None:
    with LightTimeout(None) as timeout:
        await asyncio.sleep(0)
    assert not timeout.expired


async def test_a_wait_ends_with_the_timeout_and_its_task_goes_on() -> None:
    timeout = LightTimeout(0)
    with pytest.raises(TimeoutError), timeout:
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert timeout.expired
    assert task is not None
    assert not task.cancelling()
    await asyncio.sleep(0)


async def test_a_cancelled_task_stays_cancelled_although_its_time_is_over_too() -> None:
    expired: list[bool] = []

    async def wait() -> None:
        timeout = LightTimeout(0)
        try:
            with timeout:
                while not timeout.expired:
                    with suppress(asyncio.CancelledError):
                        await asyncio.Event().wait()
                task.cancel()
                await asyncio.Event().wait()
        finally:
            expired.append(timeout.expired)

    task = asyncio.create_task(wait())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert expired == [True]


async def test_an_error_within_passes() -> None:
    with pytest.raises(LookupError), LightTimeout(30):
        raise LookupError


async def test_the_inner_of_two_timeouts_is_told_apart_from_the_outer() -> None:
    outer, inner = LightTimeout(0), LightTimeout(30)
    with pytest.raises(TimeoutError), outer, inner:
        await asyncio.Event().wait()
    assert (outer.expired, inner.expired) == (True, False)
