"""How long a server may be silent, measured with a clock that is moved by hand."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import httpx
import pytest

from transports.llama.http_exchange import FINISH_S, HttpExchange

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class HandTimer:
    def __init__(self, due: float, ring: Callable[[], None]) -> None:
        self.due = due
        self.ring = ring
        self.pending = True

    def cancel(self) -> None:
        self.pending = False


class HandClock:
    """As much of an event loop as an exchange needs, with a time that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[HandTimer] = []
        self.waiting = asyncio.Event()

    def time(self) -> float:
        return self.now

    def call_later(self, delay_s: float, callback: Callable[..., None], *args: Any) -> HandTimer:
        return self.call_at(self.now + delay_s, callback, *args)

    def call_at(self, due: float, callback: Callable[..., None], *args: Any) -> HandTimer:
        timer = HandTimer(due, lambda: callback(*args))
        self.timers.append(timer)
        return timer

    def create_future(self) -> asyncio.Future[None]:
        self.waiting.set()
        return asyncio.get_running_loop().create_future()

    def move_to(self, now: float) -> None:
        self.now = now
        for timer in [timer for timer in self.timers if timer.pending and timer.due <= now]:
            timer.pending = False
            timer.ring()

    def pending(self) -> int:
        return sum(timer.pending for timer in self.timers)


async def test_silence_is_measured_from_the_last_read_with_one_timer() -> None:
    clock = HandClock()
    exchange = HttpExchange(cast(asyncio.AbstractEventLoop, clock), read_s=60)
    exchange.data_received(HEAD)
    await exchange.ask(b"", None)
    heard: list[bytes] = []
    async with asyncio.timeout(30):
        clock.move_to(50)
        pushing = asyncio.ensure_future(exchange.push(heard.append))
        await clock.waiting.wait()
        clock.move_to(60)
        clock.move_to(109)
        exchange.data_received(b"5\r\nhello\r\n")
        clock.move_to(168)
        assert clock.pending() == 1
        assert not pushing.done()
        clock.move_to(169)
        with pytest.raises(httpx.ReadTimeout):
            await pushing
    assert heard == [b"hello"]
    assert clock.pending() == 0


async def test_a_busy_receiver_is_no_silence_of_the_server() -> None:
    clock = HandClock()
    exchange = HttpExchange(cast(asyncio.AbstractEventLoop, clock), read_s=60)
    exchange.data_received(HEAD + b"5\r\nhello\r\n")
    await exchange.ask(b"", None)
    busy: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with asyncio.timeout(30):
        pushing = asyncio.ensure_future(exchange.push(lambda _: busy))
        await asyncio.sleep(0)
        clock.move_to(1000)
        busy.set_result(None)
        await clock.waiting.wait()
        clock.move_to(1059)
        assert not pushing.done()
        clock.move_to(1060)
        with pytest.raises(httpx.ReadTimeout):
            await pushing


async def test_an_answer_that_was_closed_leaves_no_timer() -> None:
    clock = HandClock()
    exchange = HttpExchange(cast(asyncio.AbstractEventLoop, clock), read_s=60)
    exchange.data_received(HEAD)
    await exchange.ask(b"", None)
    assert clock.pending() == 1
    exchange.close()
    assert clock.pending() == 0


async def test_what_its_reader_does_not_need_is_waited_for_a_short_time() -> None:
    clock = HandClock()
    exchange = HttpExchange(cast(asyncio.AbstractEventLoop, clock), read_s=60)
    left: list[str] = []

    class Connection(asyncio.Transport):
        def write(self, data: object) -> None:
            pass

        def abort(self) -> None:
            left.append("closed")

    exchange.connection_made(Connection())
    exchange.keep = lambda _: left.append("kept")
    exchange.data_received(HEAD)
    await exchange.ask(b"", None)
    exchange.finish()
    exchange.close()
    assert (left, clock.pending()) == ([], 1)
    clock.move_to(FINISH_S)
    assert (left, clock.pending()) == (["closed"], 0)
