"""However the broker and the device come and go, a device hears no hole, no false length, one last word."""

import asyncio
from asyncio import Future
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.errors import Overloaded, UpstreamFailed
from gateway.contract.events import Delta, Ending, Failed, Finished, ReaderEvent, Started, Terminal
from tests.transports.mqtt.memory_link import MemoryBroker, MemoryLink
from transports.mqtt.devices.down_writer import DownWriter, Rhythm
from transports.mqtt.devices.reply_delivery import ReplyDelivery
from transports.mqtt.link.link import Envelope, Receipt

LAST = {"end", "reply", "error"}


class FlakyLink(MemoryLink):
    """The test decides what becomes of each message. heard: what reached the device.

    fate: "heard"; "lost" is acknowledged and never arrives; "held", and what is "heard" behind it, is
    acknowledged by the test, or not; "nobody" listens; "full" takes nothing.
    """

    def __init__(self) -> None:
        super().__init__(MemoryBroker(), "gateway", 2_000)
        self.fate = "heard"
        self.heard: list[dict[str, Any]] = []
        self.held: list[tuple[Future[Receipt], bytes]] = []
        self._connected = True

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, envelope: Envelope | None = None
    ) -> Future[Receipt]:
        receipt: Future[Receipt] = asyncio.get_running_loop().create_future()
        if self.fate == "full":
            raise Overloaded("full")
        if not self._connected:
            receipt.set_result(Receipt.LOST)
        elif self.fate == "held" or (self.held and self.fate == "heard"):  # a connection keeps the order
            self.held.append((receipt, payload))
        else:
            receipt.set_result(Receipt.NOBODY if self.fate == "nobody" else Receipt.TAKEN)
            if self.fate == "heard":
                self._hear(payload)
        return receipt

    def release(self, *, arrives: bool) -> None:
        """Acknowledge what is held; or lose it with the connection, of which some arrives all the same."""
        for number, (receipt, payload) in enumerate(self.held):
            if not receipt.done():
                receipt.set_result(Receipt.TAKEN if arrives else Receipt.LOST)
            if arrives or number % 2 == 0:
                self._hear(payload)
        self.held.clear()

    def cut(self) -> None:
        self._connected = False
        self.release(arrives=False)

    def restore(self) -> None:
        self._connected = True

    def _hear(self, payload: bytes) -> None:
        self.heard.append(msgspec.json.decode(payload))


class ScriptedReply:
    """A reply whose events come when the test says so; several may read it from anywhere."""

    def __init__(self) -> None:
        self.events: list[ReaderEvent] = [Started("s", 1, "key", 1, 2, "sse", "token")]
        self._news = asyncio.Event()

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Delta))

    def say(self, event: ReaderEvent) -> None:
        self.events.append(event)
        self._news.set()

    def ending(self) -> Ending:
        return Ending(2, self.text, "sse", "token", None, None, None, None)

    @contextmanager
    def reading(self, after: int = 0) -> Iterator["Place"]:
        yield Place(self, after)


class Place:
    missed = False

    def __init__(self, reply: ScriptedReply, at: int) -> None:
        self._reply, self._at, self._stopped = reply, at, asyncio.Event()

    def stop(self) -> None:
        self._stopped.set()
        self._reply._news.set()

    async def read(self) -> Sequence[ReaderEvent] | None:
        while not self._stopped.is_set():
            self._reply._news.clear()
            if events := self._reply.events[self._at :]:
                self._at += len(events)
                return events
            await self._reply._news.wait()
        return None


def delivery_over(link: FlakyLink) -> ReplyDelivery:
    def new_writer(whole: bool, anew: bool) -> DownWriter:
        return DownWriter(link, "down", "c1", Rhythm(0, 1, 10), whole=whole, anew=anew)

    return ReplyDelivery(new_writer, whole=False, grace_s=0.05, retry_s=0)


def check_what_a_device_heard(heard: list[dict[str, Any]], kept: str) -> None:
    types = [frame["type"] for frame in heard]
    last_words = [frame for frame in heard if frame["type"] in LAST]
    assert len(last_words) <= 1, types
    assert not last_words or types[-1] in LAST, types
    if last_words and last_words[0]["type"] == "end":
        first, *others = heard
        numbered = [first["seq"], *(frame["seq"] for frame in others if frame["type"] != "accept")]
        assert numbered == list(range(len(numbered))), "no hole, and only an accept twice"
        text = "".join(frame["text"] for frame in heard if frame["type"] == "chunk")
        assert (text, last_words[0]["length"]) == (kept, len(kept))
    if last_words and last_words[0]["type"] == "reply":
        assert last_words[0]["text"] == kept


FATES = ("heard", "lost", "held", "nobody", "full")
MOVES = ["say", *FATES, "release", "cut", "restore", "leave", "back", "again"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(MOVES), max_size=25), st.booleans())
def test_no_move_makes_a_device_hear_a_hole_or_two_last_words(moves: list[str], fails: bool) -> None:
    asyncio.run(play(moves, fails))


async def play(moves: list[str], fails: bool) -> None:
    link, reply = FlakyLink(), ScriptedReply()
    delivery = delivery_over(link)
    told = asyncio.ensure_future(tell(delivery, reply))
    for move in moves:
        if move == "say":
            reply.say(Delta("word "))
        elif move in FATES:
            if link.fate == "lost":  # A connection that lost what it acknowledged is found to be broken.
                link.cut()
                delivery.leave()
            link.fate = move
        elif move == "release":
            link.release(arrives=True)
        elif move == "cut":
            delivery.leave()
            link.cut()
        elif move == "restore":
            link.restore()
            delivery.come_back()
        elif move == "leave":
            delivery.leave()
        elif move == "back":
            delivery.come_back()
        else:
            delivery.accept_again()
        for _ in range(4):
            await asyncio.sleep(0)
    if link.fate == "lost":
        link.cut()
        delivery.leave()
    link.fate = "heard"
    link.release(arrives=True)
    link.restore()
    delivery.come_back()
    end: Terminal = Finished("stop", reply.ending())
    if fails:
        end = Failed("upstream_error", "upstream_error", "broke", True, reply.ending())
    reply.say(end)
    async with asyncio.timeout(30):
        await told
    delivery.accept_again()
    check_what_a_device_heard(link.heard, reply.text)
    assert not delivery.delivered or link.heard[-1]["type"] in LAST


async def tell(delivery: ReplyDelivery, reply: ScriptedReply) -> None:
    try:
        await delivery.send(reply.reading)
    except Overloaded as error:
        delivery.fail(error)
    finally:
        delivery.close()


async def test_the_last_word_waits_until_the_broker_has_all_the_others() -> None:
    link, reply = FlakyLink(), ScriptedReply()
    link.fate = "held"
    delivery = delivery_over(link)
    told = asyncio.ensure_future(tell(delivery, reply))
    reply.say(Delta("a"))
    reply.say(Finished("stop", reply.ending()))
    for _ in range(5):
        await asyncio.sleep(0)
    assert b'"end"' not in b"".join(payload for _, payload in link.held)
    link.fate = "heard"
    link.release(arrives=True)
    await told
    assert delivery.delivered
    assert [frame["type"] for frame in link.heard] == ["accept", "chunk", "end"]
    assert "usage" not in link.heard[-1], "unknown is absent"


async def test_a_last_word_that_was_under_way_when_the_connection_broke_is_not_repeated() -> None:
    link, reply = FlakyLink(), ScriptedReply()
    delivery = delivery_over(link)
    told = asyncio.ensure_future(tell(delivery, reply))
    reply.say(Delta("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    link.fate = "held"
    reply.say(Finished("stop", reply.ending()))
    for _ in range(5):
        await asyncio.sleep(0)
    assert b'"end"' in link.held[-1][1]
    delivery.leave()
    link.cut()
    link.fate = "heard"
    link.restore()
    delivery.come_back()
    await told
    assert not delivery.delivered, "the device may ask again"
    assert [frame["type"] for frame in link.heard].count("end") == 1


async def test_a_text_that_one_message_cannot_repeat_ends_as_a_gap() -> None:
    link, reply = FlakyLink(), ScriptedReply()
    delivery = delivery_over(link)
    told = asyncio.ensure_future(tell(delivery, reply))
    reply.say(Delta("x" * 1_000))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    delivery.leave()
    delivery.come_back()
    reply.say(Delta("y" * 1_000))
    reply.say(Finished("stop", reply.ending()))
    await told
    assert (link.heard[-1]["type"], link.heard[-1]["code"]) == ("error", "gap")
    check_what_a_device_heard(link.heard, reply.text)


@pytest.mark.parametrize("last_word", ["end", "error"])
async def test_nothing_follows_the_last_word(last_word: str) -> None:
    link, reply = FlakyLink(), ScriptedReply()
    delivery = delivery_over(link)
    if last_word == "end":
        reply.say(Finished("stop", reply.ending()))
        await delivery.send(reply.reading)
        assert delivery.delivered
    else:
        delivery.fail(UpstreamFailed("broke"))
    delivery.fail(UpstreamFailed("again"))
    delivery.accept_again()
    assert [frame["type"] for frame in link.heard].count(last_word) == 1
    assert link.heard[-1]["type"] == last_word
