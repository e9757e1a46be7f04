"""Reads that are repeated while the gateway runs."""

import asyncio
import logging

import pytest

from gateway.contract.errors import StorageFailed
from gateway.core.refreshing import keep_fresh


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


async def test_a_read_that_has_begun_ends_before_the_cancellation() -> None:
    begun, let, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def refresh() -> None:
        begun.set()
        await let.wait()
        ended.set()

    async with asyncio.timeout(30):
        task = asyncio.create_task(keep_fresh(refresh, "failed", at_once))
        await begun.wait()
        task.cancel()
        asyncio.get_running_loop().call_soon(let.set)
        with pytest.raises(asyncio.CancelledError):
            await task
    assert ended.is_set()


async def test_a_failure_is_logged_once_and_the_next_one_after_a_success(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "sluice")
    outcomes = [False, False, True, False, True]
    done = asyncio.Event()

    async def refresh() -> None:
        if not outcomes:
            done.set()
        elif not outcomes.pop(0):
            raise StorageFailed("away")

    async with asyncio.timeout(30):
        task = asyncio.create_task(keep_fresh(refresh, "the mode cannot be read", at_once))
        await done.wait()
        task.cancel()
        await asyncio.wait({task})
    assert caplog.messages == ["the mode cannot be read: away"] * 2
