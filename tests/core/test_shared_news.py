"""Session events go to other gateways while one of them has an open session stream."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.contract.signals import Body, Hear
from gateway.core.session_news import BranchChosen, SessionNews
from gateway.core.shared_news import LISTENS_FOR_S, SharedNews


class Wire:
    """Signals between gateways, delivered at once; sent: all of them."""

    def __init__(self) -> None:
        self.ends: list[End] = []
        self.sent: list[Body] = []


class End:
    """Implements Signals."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._hearers: list[Hear] = []
        self.missed: Callable[[], None] = lambda: None
        wire.ends.append(self)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        yield

    def on(self, topic: str, hear: Hear) -> None:
        self._hearers.append(hear)

    def on_missed(self, call: Callable[[], None]) -> None:
        self.missed = call

    def send(self, topic: str, body: Body) -> None:
        self._wire.sent.append(body)
        for end in self._wire.ends:
            for hear in end._hearers if end is not self else ():
                hear(body)


class Gateway:
    def __init__(self, wire: Wire) -> None:
        self.now = 0.0
        self.pauses = asyncio.Semaphore(0)
        self.may_go_on = asyncio.Semaphore(0)
        self.news = SessionNews()
        self.signals = End(wire)
        self.shared = SharedNews(self.news, self.signals, clock=lambda: self.now, sleep=self._sleep)

    async def _sleep(self, _: float) -> None:
        self.pauses.release()
        await self.may_go_on.acquire()

    def long_after_its_start(self) -> "Gateway":
        self.now += LISTENS_FOR_S
        return self


def test_nothing_is_sent_while_nobody_listens_elsewhere() -> None:
    wire = Wire()
    asked, other = Gateway(wire).long_after_its_start(), Gateway(wire)
    asked.news.publish(1, BranchChosen(7))
    assert wire.sent == []
    with other.news.listening(1, lambda: None) as listener:
        asked.news.publish(1, BranchChosen(8))
        assert listener.take() == BranchChosen(8)
    asked.now += LISTENS_FOR_S
    asked.news.publish(1, BranchChosen(9))
    assert [body["kind"] for body in wire.sent] == ["listening", "branch"]


def test_a_gateway_that_has_just_started_or_missed_signals_sends_to_be_safe() -> None:
    wire = Wire()
    gateway = Gateway(wire)
    gateway.news.publish(1, BranchChosen(7))
    gateway.long_after_its_start().news.publish(1, BranchChosen(8))
    gateway.signals.missed()
    gateway.news.publish(1, BranchChosen(9))
    assert [body["leaf"] for body in wire.sent] == [7, 9]


async def test_who_listens_says_so_again_and_again() -> None:
    wire = Wire()
    gateway = Gateway(wire)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(gateway.shared.run())
        await gateway.pauses.acquire()
        gateway.may_go_on.release()
        await gateway.pauses.acquire()
        assert wire.sent == []
        with gateway.news.listening(1, lambda: None), gateway.news.listening(2, lambda: None):
            assert len(wire.sent) == 1
            gateway.may_go_on.release()
            await gateway.pauses.acquire()
        running.cancel()
    assert wire.sent == [{"kind": "listening"}] * 2


def test_a_deleted_session_ends_its_streams_at_all_gateways_and_no_others() -> None:
    wire = Wire()
    here, other = Gateway(wire), Gateway(wire)
    with (
        here.news.listening(1, lambda: None) as own,
        other.news.listening(1, lambda: None) as theirs,
        other.news.listening(2, lambda: None) as of_another_session,
    ):
        here.news.close(1)
        assert (own.closed, theirs.closed, of_another_session.closed) == (True, True, False)
    assert [body["kind"] for body in wire.sent] == ["listening", "listening", "deleted"]
