"""Contract of stores: API keys."""

import asyncio
from datetime import UTC, datetime, timedelta

from gateway.contract.audit import Actor
from gateway.contract.exchanges import Charge
from gateway.contract.keys import ALL_PERMISSIONS, KeyCensus, KeyChange, NewKey, TokensOfDay
from gateway.contract.record import replace
from gateway.store.keys import PAGE
from gateway.store.sql_store import SqlStore
from tests.store.exchanges import answer, question
from tests.store.rigs import SqlRig

ANNAS = NewKey("a" * 64, "sk-aaaa", "anna", "laptop", ALL_PERMISSIONS, rate_per_minute=5, streams=2)
BENS = NewKey("b" * 64, "sk-bbbb", "ben")


async def test_everything_about_a_key_is_given_back(sql_store: SqlStore) -> None:
    made = [await sql_store.keys.create(key) for key in (ANNAS, BENS)]

    assert await sql_store.keys.all() == made
    assert [stored.key for stored in made] == [ANNAS, BENS]
    assert made[0].created_at < made[1].created_at
    assert (made[0].last_used_at, made[0].revoked_at) == (None, None)


async def test_many_keys_are_all_given_back(sql_store: SqlStore) -> None:
    made = await asyncio.gather(
        *(
            sql_store.keys.create(NewKey(f"{number:064x}", "sk-many", "anna"))
            for number in range(2 * PAGE + 1)
        )
    )
    assert await sql_store.keys.all() == sorted(made, key=lambda stored: stored.id)


async def test_the_census_only_grows(sql_store: SqlStore) -> None:
    assert await sql_store.keys.census() == KeyCensus(0, 0)
    anna, ben = await asyncio.gather(sql_store.keys.create(ANNAS), sql_store.keys.create(BENS))
    assert await sql_store.keys.census() == KeyCensus(2, 0)

    assert await sql_store.keys.revoke(anna.id)
    assert await sql_store.keys.census() == KeyCensus(2, 1)
    assert not await sql_store.keys.revoke(anna.id)
    assert not await sql_store.keys.revoke(999)
    assert await sql_store.keys.census() == KeyCensus(2, 1)

    revoked, living = await sql_store.keys.all()
    assert (revoked.id, revoked.revoked_at is None) == (anna.id, False)
    assert (living.id, living.revoked_at) == (ben.id, None)


async def test_the_use_of_a_key_is_noted_for_it_alone(sql_store: SqlStore) -> None:
    anna = await sql_store.keys.create(ANNAS)
    await sql_store.keys.create(BENS)

    await sql_store.keys.note_used({anna.id, 999})
    await sql_store.keys.note_used(())

    used, unused = await sql_store.keys.all()
    assert used.last_used_at is not None
    assert used.last_used_at > anna.created_at
    assert unused.last_used_at is None


async def test_a_visitor_changes_keys_beside_the_gateway(sql_rig: SqlRig, sql_store: SqlStore) -> None:
    visitor = sql_rig.store()
    async with visitor.running(alone=False):
        await visitor.keys.create(ANNAS)

    assert await sql_store.keys.census() == KeyCensus(1, 0)


SOON = datetime(2027, 1, 31, tzinfo=UTC)
LIMITED = NewKey("c" * 64, "sk-cccc", "cleo", tokens_per_day=10**12, expires_at=SOON)


async def test_limits_of_a_key_are_kept_and_changed_one_by_one(sql_store: SqlStore) -> None:
    made = await sql_store.keys.create(LIMITED)
    assert await sql_store.keys.all() == [made]
    assert made.key == LIMITED

    assert await sql_store.keys.change(made.id, KeyChange(tokens_per_day=5))
    assert (await sql_store.keys.all())[0].key == replace(LIMITED, tokens_per_day=5)
    assert await sql_store.keys.change(made.id, KeyChange(expires_at=None))
    assert (await sql_store.keys.all())[0].key == replace(LIMITED, tokens_per_day=5, expires_at=None)
    assert await sql_store.keys.change(made.id, KeyChange(None, SOON))
    assert (await sql_store.keys.all())[0].key == replace(LIMITED, tokens_per_day=None)
    assert await sql_store.keys.census() == KeyCensus(1, 0, 3)


async def test_a_change_is_in_the_audit_log_and_one_of_no_key_is_not(sql_store: SqlStore) -> None:
    ops = Actor("ops", "here")
    made = await sql_store.keys.create(LIMITED, ops)
    assert await sql_store.keys.change(made.id, KeyChange(7, SOON), ops)
    assert await sql_store.keys.revoke(made.id)
    assert not await sql_store.keys.change(made.id, KeyChange(8), ops)
    assert not await sql_store.keys.change(999, KeyChange(8), ops)

    changed, created = [stored.change for stored in await sql_store.audit_log.changes()]
    assert (changed.action, changed.subject) == ("key.change", str(made.id))
    assert changed.detail == {"tokens_per_day": 7, "expires_at": "2027-01-31T00:00:00+00:00"}
    assert created.detail == {
        "user": "cleo",
        "name": "",
        "scopes": "chat",
        "tokens_per_day": 10**12,
        "expires_at": "2027-01-31T00:00:00+00:00",
    }


TODAY = datetime.now(UTC).date()


async def test_tokens_are_counted_with_the_end_of_a_reply(sql_store: SqlStore) -> None:
    limited = await sql_store.keys.create(LIMITED)
    free = await sql_store.keys.create(BENS)
    await sql_store.keys.create(ANNAS)
    for key, tokens in ((limited, 7), (limited, 5), (free, 3)):
        exchange = await sql_store.begin(question(None, stream_id=f"{key.id}-{tokens}"))
        end = answer(exchange, charge=Charge(key.id, tokens))
        assert await sql_store.finish(end)
        assert not await sql_store.finish(replace(end, over="streaming", charge=None))
    await sql_store.keys.charge(Charge(limited.id, 100))
    await sql_store.keys.charge(Charge(999, 100))

    used = [stored.used for stored in await sql_store.keys.all()]
    day = used[0].day if used[0] else TODAY
    assert used == [TokensOfDay(day, 112), TokensOfDay(day, 3), None]
    assert await sql_store.keys.used_on(day) == {limited.id: 112}
    assert await sql_store.keys.used_on(day, free.id) == {free.id: 3}
    assert await sql_store.keys.used_on(day + timedelta(days=1)) == {}


async def test_a_changed_end_is_charged_once_and_a_deleted_reply_too(sql_store: SqlStore) -> None:
    key = await sql_store.keys.create(LIMITED)
    exchange = await sql_store.begin(question(None))
    end = answer(exchange, charge=Charge(key.id, 7))
    assert await sql_store.finish(end)
    assert await sql_store.finish(replace(end, status="cancelled", over="complete"))
    assert not await sql_store.finish(
        answer(replace(exchange, assistant_message_id=999), charge=Charge(key.id, 1))
    )

    (stored,) = await sql_store.keys.all()
    assert stored.used is not None
    assert stored.used.tokens == 8


async def test_many_keys_with_tokens_are_all_given_back(sql_store: SqlStore) -> None:
    made = await asyncio.gather(
        *(
            sql_store.keys.create(NewKey(f"{number:064x}", "sk-many", "anna", tokens_per_day=9))
            for number in range(PAGE + 1)
        )
    )
    await asyncio.gather(*(sql_store.keys.charge(Charge(key.id, 1)) for key in made))
    day = (await sql_store.keys.all())[0].used
    assert day is not None
    assert await sql_store.keys.used_on(day.day) == dict.fromkeys((key.id for key in made), 1)
