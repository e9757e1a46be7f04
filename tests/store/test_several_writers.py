"""Two gateways that change one PostgreSQL at the same time."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.contract.audit import Actor, Change
from gateway.contract.authors import Author
from gateway.contract.errors import Conflict, QuotaReached
from gateway.contract.events import Usage
from gateway.contract.exchanges import Charge, Exchange, IdempotencyClaim
from gateway.contract.keys import NewKey
from gateway.contract.notes import KeptNote, NewNote
from gateway.contract.reply_owners import ReplyOwner
from gateway.store.engine import open_database
from gateway.store.maintenance import upgrade_database
from gateway.store.schema_migration import HEAD
from gateway.store.sql_store import SqlStore
from tests.store.exchanges import answer, ask, question
from tests.store.postgres import SHARED, PostgresServer, requires_postgres
from tests.store.rigs import PostgresRig
from tests.store.test_figures import EVER

ANNA = Author("user", "anna")

pytestmark = [pytest.mark.live, requires_postgres()]

Two = tuple[SqlStore, SqlStore]
ROUNDS = 12


@pytest.fixture
def rig(postgres: PostgresServer) -> PostgresRig:
    return PostgresRig(postgres.emptied())


@pytest.fixture
async def stores(rig: PostgresRig, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Two]:
    async with asyncio.timeout(120), AsyncExitStack() as stack:
        a, b = rig.store(owner="a/1"), rig.store(owner="b/1")
        for store in (a, b):
            await stack.enter_async_context(store.running())
        yield a, b
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_questions_in_one_session_follow_one_another(stores: Two) -> None:
    first = await ask(stores[0], "q", "a")

    for _ in range(ROUNDS):
        await asyncio.gather(*(store.begin(question(first.session_id)) for store in stores * 2))

    path = await stores[0].messages("local", first.session_id, path=True)
    everything = await stores[0].messages("local", first.session_id)
    assert [message.id for message in path] == [message.id for message in everything]
    assert len(everything) == 2 + 8 * ROUNDS


async def test_the_first_questions_of_a_thread_share_a_session(stores: Two) -> None:
    for number in range(ROUNDS):
        begun = await asyncio.gather(
            *(store.begin(question(thread=f"device:{number}")) for store in stores * 2)
        )
        assert len({exchange.session_id for exchange in begun}) == 1
        assert sum(exchange.opens_session for exchange in begun) >= 1
    assert len(await stores[0].sessions("local", limit=100)) == ROUNDS


async def test_an_idempotency_key_begins_one_reply(stores: Two) -> None:
    for number in range(ROUNDS):
        claim = IdempotencyClaim(f"key-{number}", "f" * 64)
        outcomes = await asyncio.gather(
            *(store.begin(question(idempotency=claim)) for store in stores * 2), return_exceptions=True
        )
        begun = [outcome for outcome in outcomes if isinstance(outcome, Exchange)]
        refused = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
        assert (len(begun), len(refused)) == (1, 3)


async def test_a_broadcast_is_stored_once_and_notes_follow_one_another(stores: Two) -> None:
    first = await ask(stores[0], "q", "a")
    for number in range(ROUNDS):
        broadcast = NewNote(
            "local", first.session_id, ANNA, "done", origin="broadcast", client_id=f"m{number}"
        )
        outcomes = await asyncio.gather(
            *(store.post(broadcast) for store in stores * 2),
            *(store.begin(question(first.session_id)) for store in stores),
        )
        kept = [outcome for outcome in outcomes if isinstance(outcome, KeptNote)]
        assert sum(note.is_new for note in kept) == 1
        assert len({note.message.id for note in kept}) == 1
    path = await stores[0].messages("local", first.session_id, path=True)
    assert list(path) == list(await stores[0].messages("local", first.session_id))
    assert len(path) == 2 + 5 * ROUNDS


async def test_usage_and_budgets_are_counted_exactly(stores: Two) -> None:
    key = await stores[0].keys.create(NewKey("f" * 64, "sk-", "local", "k", tokens_per_day=10**9))

    async def use(store: SqlStore) -> None:
        exchange = await store.begin(question())
        used = Usage(1, 2, 3)
        assert await store.finish(answer(exchange, usage=used, charge=Charge(key.id, 3), model="m"))

    await asyncio.gather(*(use(store) for store in stores * 2 * ROUNDS))

    (used,) = await stores[0].usage.between(*EVER, None)
    assert (used.replies, used.total_tokens) == (4 * ROUNDS, 12 * ROUNDS)
    (stored,) = await stores[1].keys.all()
    assert stored.used is not None
    assert stored.used.tokens == 12 * ROUNDS


async def test_secrets_settings_and_probes_of_both_agree(
    stores: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.probe.FRESH_S", -1.0)
    monkeypatch.setattr("gateway.store.probe.WAIT_S", 60)
    actor = Actor("anna", "test")

    async def put(store: SqlStore, mode: str) -> None:
        await store.kept_settings.put("mode", {"mode": mode}, Change(actor, "mode.switch", mode))

    for number in range(ROUNDS):
        secrets = await asyncio.gather(*(store.secret(f"s{number}") for store in stores))
        assert secrets[0] == secrets[1]
        await asyncio.gather(*(put(store, mode) for store, mode in zip(stores, ("sse", "mqtt"), strict=True)))
        assert len(await stores[0].kept_settings.all()) == 1
        await asyncio.gather(*(store.ping() for store in stores))


async def test_deletions_by_both_are_counted_once(stores: Two, rig: PostgresRig) -> None:
    for number in range(ROUNDS):
        await asyncio.gather(*(ask(store, f"q{number}", "a") for store in stores * 2))
    rig.later(timedelta(days=2))
    kept = await ask(stores[0], "new", "a")

    forgotten = await asyncio.gather(
        *(store.deletions.forget(before=rig.now() - timedelta(days=1), keep=0) for store in stores)
    )

    assert sum(each.messages for each in forgotten) == 8 * ROUNDS
    assert sum(each.sessions for each in forgotten) == 4 * ROUNDS
    assert [session.id for session in await stores[1].sessions("local")] == [kept.session_id]


async def test_a_reply_is_continued_by_one(stores: Two) -> None:
    a, _ = stores
    for _ in range(ROUNDS):
        exchange = await a.begin(question())
        await a.finish(answer(exchange, "half", status="interrupted", reason="interrupted"))
        (_, half) = await a.messages("local", exchange.session_id)
        outcomes = await asyncio.gather(
            *(
                store.begin(question(exchange.session_id, stream_id=half.stream_id, continues=half.so_far()))
                for store in stores
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(outcome, Exchange) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1


async def test_changes_that_lock_rows_in_another_order_are_all_made(stores: Two) -> None:
    sessions = [await ask(stores[0], "q", "a") for _ in range(4)]
    ids = [exchange.session_id for exchange in sessions]

    async def change(store: SqlStore, order: list[int]) -> None:
        for _ in range(ROUNDS):
            changes = [store.rename_session("local", order[0], "t"), store.begin(question(order[1]))]
            await asyncio.gather(*changes, store.rename_session("local", order[2], "t"))

    await asyncio.gather(*(change(store, ids[at:] + ids[:at]) for at, store in enumerate(stores * 2)))


@pytest.mark.parametrize("kind", ["session", "reply"])
async def test_an_end_does_not_wait_for_a_deletion(rig: PostgresRig, stores: Two, kind: str) -> None:
    """In one transaction, the end's locks would be held until the deletion has its own: two gateways would
    wait for each other, until PostgreSQL's deadlock_timeout."""
    (store, _), asked = stores, question()
    busy, ending = await store.begin(asked), await store.begin(question())
    await store.finish(answer(busy))
    engine = create_async_engine(make_url(rig.url))
    async with engine.connect() as other:
        await other.execute(text(f"SELECT FROM sessions WHERE id = {busy.session_id} FOR UPDATE"))
        end = asyncio.ensure_future(store.finish(answer(ending)))
        deletion = asyncio.ensure_future(
            store.delete_session("local", busy.session_id)
            if kind == "session"
            else store.delete_reply("local", asked.stream_id)
        )
        assert await end
        assert not deletion.done()
        # The reply itself is not locked: the other one may end it.
        await other.execute(text("SELECT FROM messages FOR UPDATE NOWAIT"))
    await deletion
    await engine.dispose()


async def test_upgrades_at_the_same_time_are_one(postgres: PostgresServer) -> None:
    url = postgres.database()

    done = await asyncio.gather(*(upgrade_database(open_database(url, "NORMAL")) for _ in range(3)))

    assert {after for _, after in done} == {HEAD}


async def test_sessions_of_both_gateways_count_for_the_limit_of_a_user(rig: PostgresRig) -> None:
    async with AsyncExitStack() as stack:
        stores = [rig.store(owner=f"{name}/1", sessions_per_user=4) for name in "ab"]
        for store in stores:
            await stack.enter_async_context(store.running())
        for store in stores * 2:
            await store.create_session("local", "")
        for store in stores:
            with pytest.raises(QuotaReached):
                await store.create_session("local", "")


async def test_an_owner_that_does_not_live_any_more_has_no_address(
    rig: PostgresRig, postgres: PostgresServer
) -> None:
    async with AsyncExitStack() as stack:
        one, two = (rig.store(owner=f"{name}/1", internal_url=f"http://{name}:1") for name in "ab")
        for store in (one, two):
            await stack.enter_async_context(store.running())
        stream_id = (asked := question()).stream_id
        await one.begin(asked)
        assert one.membership.gateways is not None
        await one.membership.gateways.renew()
        assert await two.reply_owners.of_reply(stream_id) == ReplyOwner("a/1", "http://a:1", False)
        postgres.sql("UPDATE gateways SET seen_at = now() - interval '1 hour'", SHARED)
        assert await two.reply_owners.of_reply(stream_id) == ReplyOwner("a/1", None, False)


async def test_replies_locked_by_a_frozen_transaction_are_taken_over_later(
    rig: PostgresRig, stores: Two
) -> None:
    a, b = stores
    for name in ("locked", "free"):
        await a.begin(question(stream_id=name))
        await a.begin(question(stream_id=f"{name}-kept", handle={"conversation_id": "1"}))
    engine = create_async_engine(make_url(rig.url))
    async with engine.connect() as frozen:
        await frozen.execute(text("SELECT FROM messages WHERE stream_id LIKE 'locked%' FOR UPDATE"))
        taken = await b.adopt(["a/1"])
        assert ([reply.message.stream_id for reply in taken.replies], len(taken.interrupted)) == (
            ["free-kept"],
            1,
        )
    await engine.dispose()
    taken = await b.adopt(["a/1"])
    assert ([reply.message.stream_id for reply in taken.replies], len(taken.interrupted)) == (
        ["locked-kept"],
        1,
    )
