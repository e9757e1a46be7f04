"""Work for a client ends when the client is gone."""

import asyncio

from gateway.web.http.asgi import ConnectionWatcher, Message
from gateway.web.http.departures import unless_gone
from gateway.web.http.sse_writer import Pulse, SseWriter


class Line:
    """A connection that keeps its first watcher."""

    writable = True

    def __init__(self) -> None:
        self.watcher: ConnectionWatcher | None = None

    def watch(self, watcher: ConnectionWatcher | None) -> None:
        self.watcher = self.watcher or watcher

    def write_chunk(self, body: bytes) -> None:
        raise AssertionError

    def abort(self) -> None:
        raise AssertionError


async def test_a_client_that_is_reported_gone_twice_is_no_error() -> None:
    line, cleaning, cleaned = Line(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await cleaned.wait()

    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        done = tasks.create_task(unless_gone(line, work()))
        await asyncio.sleep(0)
        assert line.watcher is not None
        line.watcher.connection_lost()
        await cleaning.wait()
        line.watcher.connection_lost()
        cleaned.set()
    assert done.result() is None


class Gone(Line):
    """A connection that was lost before anybody watched it."""

    def watch(self, watcher: ConnectionWatcher | None) -> None:
        if watcher is not None:
            watcher.connection_lost()


class OneNews(SseWriter):
    def write_news(self) -> None:
        self.write(b"news")


async def test_a_stream_whose_client_left_before_the_head_writes_nothing() -> None:
    async def no_send(_: Message) -> None:
        pass

    pulse = Pulse(15)
    stream = OneNews(Gone(), pulse)
    try:
        await stream.begin(no_send)
        stream.hear()
        pulse.beat(float("inf"))
        assert stream.is_over
    finally:
        stream.leave()
