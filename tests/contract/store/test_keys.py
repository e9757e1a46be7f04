"""Contract of stores: API keys."""

import asyncio

from gateway.contract.keys import ALL_PERMISSIONS, KeyCensus, NewKey
from gateway.store.keys import PAGE
from gateway.store.sql_store import SqlStore
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
