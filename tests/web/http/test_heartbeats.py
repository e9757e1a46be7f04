"""Heartbeats of a stream: only after a silence, which every write ends."""

import pytest

from gateway.dialects.sse_frames import PING
from gateway.web.http.asgi import ConnectionWatcher, Message
from gateway.web.http.sse_writer import Pulse, SseWriter


class KeptWrites:
    """A connection that keeps what is written."""

    writable = True

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def write_chunk(self, body: bytes) -> None:
        self.writes.append(body)

    def abort(self) -> None:
        raise AssertionError("the stream was aborted")

    def watch(self, watcher: ConnectionWatcher | None) -> None:
        pass


async def no_send(message: Message) -> None:
    pass


class Told(SseWriter):
    """A stream with one event more each time it hears."""

    def write_news(self) -> None:
        self.write(b"news")


@pytest.fixture
async def stream(monkeypatch: pytest.MonkeyPatch) -> Told:
    """A stream that began at 0 on the clock of the test, which stands at 100."""
    told = Told(KeptWrites(), Pulse(15))
    monkeypatch.setattr(told, "_written_at", 0.0)
    monkeypatch.setattr(told, "_time", lambda: 100.0)
    return told


def written(stream: Told) -> list[bytes]:
    assert isinstance(stream._connection, KeptWrites)
    return stream._connection.writes


async def test_a_stream_that_wrote_nothing_gets_one_heartbeat_for_each_silence(stream: Told) -> None:
    stream.beat(50.0)
    assert written(stream) == [PING]
    stream.beat(99.0)  # the heartbeat ended the silence
    assert written(stream) == [PING]
    stream.beat(100.0)
    assert written(stream) == [PING, PING]


async def test_a_write_ends_the_silence(stream: Told) -> None:
    stream.hear()
    stream.beat(99.0)
    assert written(stream) == [b"news"]


async def test_what_is_put_ends_the_silence(stream: Told) -> None:
    await stream.put(no_send, b"head")
    stream.beat(99.0)
    assert written(stream) == []


@pytest.mark.parametrize("ended_by", ["end", "disconnect"])
async def test_a_stream_that_is_over_writes_nothing(stream: Told, ended_by: str) -> None:
    stream.end(b"last") if ended_by == "end" else stream.connection_lost()
    stream.hear()
    stream.beat(100.0)
    assert written(stream) == []
