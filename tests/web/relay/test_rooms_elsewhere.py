"""Rooms whose listeners are at two gateways."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.authors import Author
from gateway.contract.reply_owners import ReplyOwner
from gateway.contract.store import StoredSession
from gateway.core.room_channel import Place
from gateway.core.room_posts import NewMessage
from gateway.store.postgres_link import PostgresLink
from gateway.store.postgres_signals import PostgresSignals
from gateway.store.sql_store import SqlStore
from gateway.web.door.callers import LOCAL
from tests.core.room_house import ANNA, BEN, Ear
from tests.live.looking import look_again
from tests.store.postgres import PostgresServer, requires_postgres
from tests.web.gateway_server import STREAM, Served
from tests.web.relay.answering import answering
from tests.web.relay.pair import BEFORE, TEXT, Pair, owner_of, pair
from tests.web.relay.test_owners_that_fail import BROKEN, FROZEN

THIRD = "third/1"

pytestmark = [pytest.mark.live, requires_postgres()]


@pytest.fixture
async def both(no_task_is_left_over: None, tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[Pair]:
    async with asyncio.timeout(60), pair(tmp_path, postgres) as both:
        yield both


async def session_of(both: Pair) -> StoredSession:
    return await both.first.assembled.gateway.store.create_session(LOCAL.user_id, "room")


async def join(gateway: Served, session: StoredSession, ear: Ear, who: Author = ANNA, **more: Any) -> Place:
    return await gateway.assembled.gateway.hall.join(LOCAL.user_id, who, session, ear, **more)


async def until(done: Callable[[], object]) -> None:
    while not done():
        await look_again()


async def asked(gateway: Served, session: StoredSession) -> str:
    body = {"content": "Hi", "session_id": session.id, "resumable": True}
    async with gateway.http.stream("POST", STREAM, json=body) as response:
        stream_id: str = response.headers["sluice-stream-id"]
        return stream_id


async def signals_arrived(both: Pair) -> None:
    """Wait until the second gateway has heard all that the first one has sent so far."""
    first, second = (each.assembled.gateway.store for each in (both.first, both.second))
    assert isinstance(first, SqlStore)
    assert isinstance(second, SqlStore)
    heard = asyncio.Event()
    second.membership.signals.on("test", lambda _: heard.set())
    while not heard.is_set():  # the first may not know yet that it is not alone
        first.membership.signals.send("test", {})
        await look_again()


@contextmanager
def deaf(both: Pair) -> Iterator[PostgresLink]:
    """The second gateway loses its connection for signals, and gets another one only after the block."""
    store = both.second.assembled.gateway.store
    assert isinstance(store, SqlStore)
    signals = store.membership.signals
    assert isinstance(signals, PostgresSignals)
    link, connect, may_connect = signals._link, signals._link._connect, asyncio.Event()

    async def late() -> Any:
        await may_connect.wait()
        return await connect()

    link._connect = late
    both.postgres.sql(f"SELECT pg_terminate_backend({link._connection.get_server_pid()}, 10000)")
    try:
        yield link
    finally:
        link._connect = connect
        may_connect.set()


@contextmanager
def owner_seems(gateway: Served, url: str) -> Iterator[asyncio.Event]:
    """During the block, the gateway finds every reply at THIRD. The event: it has looked."""
    relay = gateway.assembled.gateway.relay
    assert relay is not None
    looked_up, owners = asyncio.Event(), relay.owners

    async def third(_: str) -> ReplyOwner:
        looked_up.set()
        return ReplyOwner(THIRD, url, is_me=False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owners, "of_reply", third)
        yield looked_up


async def test_a_reply_is_heard_at_both_gateways(both: Pair) -> None:
    session = await session_of(both)
    here, elsewhere, late = Ear(), Ear(), Ear()
    await join(both.first, session, here)
    await join(both.second, session, elsewhere, BEN)
    await asked(both.first, session)
    await elsewhere.until(lambda: elsewhere.text == BEFORE)
    await join(both.second, session, late)
    assert late.text == BEFORE
    both.go.set()
    for ear in here, elsewhere, late:
        assert (await ear.end()).status == "complete"
        assert ear.text == TEXT
    assert ("message", "user:local", "Hi") in elsewhere.heard


async def test_a_room_that_opens_late_hears_the_running_reply_of_the_other_gateway(both: Pair) -> None:
    session = await session_of(both)
    await asked(both.first, session)
    await signals_arrived(both)
    ear = Ear()
    await join(both.second, session, ear)
    await ear.until(lambda: ear.text == BEFORE)
    both.go.set()
    await ear.end()
    assert ear.text == TEXT


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 421 Misdirected\r\n\r\n", BROKEN])
async def test_a_reply_whose_owner_breaks_off_goes_on_with_its_next_owner(both: Pair, answer: bytes) -> None:
    session = await session_of(both)
    ear = Ear()
    await asked(both.first, session)
    async with answering(answer) as url:
        with owner_seems(both.second, url) as looked_up:
            await join(both.second, session, ear)
            await looked_up.wait()
        await ear.until(lambda: ear.text == BEFORE)
    both.go.set()
    await ear.end()
    assert ear.text == TEXT


@pytest.mark.parametrize("answer", [FROZEN, b""], ids=["in mid-reply", "without an answer"])
async def test_a_frozen_owner_is_given_up_when_it_is_found_dead(both: Pair, answer: bytes) -> None:
    session = await session_of(both)
    ear = Ear()
    await asked(both.first, session)
    relay = both.second.assembled.gateway.relay
    assert relay is not None
    async with answering(answer, stays=True) as url:
        with owner_seems(both.second, url):
            await join(both.second, session, ear)
            await until(lambda: relay.replies.waiting.of([THIRD]))
        relay.cut([THIRD])
        await ear.until(lambda: ear.text == BEFORE)
    both.go.set()
    await ear.end()
    assert ear.text == TEXT


async def said(gateway: Served, session: StoredSession, text: str) -> None:
    new = NewMessage(LOCAL.user_id, ANNA, session.id, text, ask=False)
    await gateway.assembled.gateway.posts.post(new)


async def test_a_message_whose_signal_was_lost_is_told_before_the_next_one(both: Pair) -> None:
    session, ear = await session_of(both), Ear()
    await join(both.second, session, ear)
    await signals_arrived(both)
    with deaf(both) as link:
        await until(lambda: not link.is_open)
        await said(both.first, session, "elsewhere")
        await said(both.second, session, "here")
        await ear.until(lambda: ("message", "user:anna", "here") in ear.heard)
        heard = [("message", "user:anna", "elsewhere"), ("message", "user:anna", "here")]
        assert ear.heard == heard
        await said(both.first, session, "later")
        after = ear.events[-1].after
    await ear.until(lambda: ear.dismissed)
    again = Ear()
    await join(both.second, session, again, after=after)
    assert ear.heard + again.heard == [*heard, ("message", "user:anna", "later")]


async def test_people_and_typing_are_told_to_the_other_gateway(both: Pair) -> None:
    session = await session_of(both)
    anna, ben = Ear(), Ear()
    anna_place = await join(both.first, session, anna)
    await signals_arrived(both)
    ben_place = await join(both.second, session, ben, BEN)
    await until(lambda: len(anna_place.people()) == len(ben_place.people()) == 2)
    ben_place.say_presence("away", {"mood": "tired"})
    await anna.until(lambda: ("presence", "ben", "away", {"mood": "tired"}) in anna.heard)
    ben_place.say_typing(True)
    await anna.until(lambda: ("typing", "ben", True) in anna.heard)
    ben_place.leave()
    await anna.until(lambda: anna.heard[-2:] == [("typing", "ben", False), ("went", "ben")])
    assert anna_place.typing() == []
    assert [person.who for person in anna_place.people()] == [ANNA]


async def test_the_people_of_a_dead_gateway_leave(both: Pair) -> None:
    session = await session_of(both)
    anna = Ear()
    place = await join(both.first, session, anna)
    await join(both.second, session, Ear(), BEN)
    await until(lambda: len(place.people()) == 2)
    both.first.assembled.gateway.hall.gateways_lost([owner_of(both.second)])
    assert [person.who for person in place.people()] == [ANNA]
    assert ("went", "ben") in anna.heard
