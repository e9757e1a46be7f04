"""One thread runs functions for the event loop."""

import asyncio
import threading
import weakref
from functools import partial

import pytest

from gateway.store.loop_thread import LoopThread


async def test_results_and_errors_come_back_from_one_thread_in_order() -> None:
    ran: list[int] = []
    thread = LoopThread("worker")

    def work(number: int) -> str:
        ran.append(number)
        if number == 1:
            raise LookupError("no such row")
        return threading.current_thread().name

    with thread.running():
        calls = [thread.call(partial(work, number)) for number in range(3)]
        assert [await calls[0], await calls[2]] == ["worker", "worker"]
        with pytest.raises(LookupError, match="no such row"):
            await calls[1]
    assert ran == [0, 1, 2]


async def test_a_cancelled_call_is_still_run_and_the_next_ones_too() -> None:
    begun, go_on = threading.Event(), threading.Event()
    ran: list[str] = []

    def slow() -> None:
        begun.set()
        go_on.wait()
        ran.append("slow")

    thread = LoopThread("worker")
    with thread.running():
        cancelled = thread.call(slow)
        await asyncio.to_thread(begun.wait)
        cancelled.cancel()
        go_on.set()
        await thread.call(lambda: ran.append("next"))
    assert ran == ["slow", "next"]


async def test_leaving_waits_for_the_calls_before() -> None:
    ran: list[int] = []
    thread = LoopThread("worker")
    with thread.running():
        calls = [thread.call(partial(ran.append, number)) for number in range(100)]
    assert ran == list(range(100))
    await asyncio.gather(*calls)


async def test_a_waiting_thread_keeps_nothing_alive() -> None:
    class Result:
        pass

    gone = threading.Event()
    thread = LoopThread("worker")
    with thread.running():
        result = await thread.call(Result)
        weakref.finalize(result, gone.set)
        del result
        assert await asyncio.to_thread(gone.wait, 30)
