"""The list of gateways in a real PostgreSQL, whose clock decides who is dead."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from gateway.contract.errors import StorageFailed
from gateway.contract.gateways import Gateways
from gateway.store.sql_store import SqlStore
from tests.contract.test_signals import Heard
from tests.store.exchanges import question
from tests.store.postgres import PostgresServer, requires_postgres
from tests.store.rigs import PostgresRig

pytestmark = [pytest.mark.live, requires_postgres()]


@pytest.fixture
def rig(postgres: PostgresServer) -> PostgresRig:
    return PostgresRig(postgres.emptied())


@pytest.fixture
async def stores(rig: PostgresRig) -> AsyncIterator[tuple[SqlStore, SqlStore]]:
    """Two gateways."""
    async with asyncio.timeout(120), AsyncExitStack() as stack:
        a = rig.store(owner="a/1", internal_url="http://a:8000")
        b = rig.store(owner="b/1")
        for store in (a, b):
            await stack.enter_async_context(store.running())
        yield a, b


def gateways_of(store: SqlStore) -> Gateways:
    gateways = store.membership.gateways
    assert gateways is not None
    return gateways


def let_pass(postgres: PostgresServer, owner: str, seconds: float) -> None:
    """Let this owner have been silent for so long."""
    postgres.sql(
        f"UPDATE gateways SET seen_at = clock_timestamp() - interval '{seconds} s' WHERE owner = '{owner}'",  # noqa: S608
        "shared",
    )


async def test_each_sees_the_others_with_their_address_and_not_itself(
    stores: tuple[SqlStore, SqlStore],
) -> None:
    a, b = map(gateways_of, stores)
    first = await a.renew()
    await b.renew()
    again = await a.renew()
    (seen_by_b,) = (await b.renew()).others

    assert (first.was_missing, again.was_missing) == (True, False)
    assert first.others == []
    assert [other.owner for other in again.others] == ["b/1"]
    assert (seen_by_b.owner, seen_by_b.internal_url) == ("a/1", "http://a:8000")
    assert 0 <= seen_by_b.silent_s < 100
    assert first.database_up_s > 0


async def test_a_silent_gateway_is_dead_and_a_gateway_that_left_is_gone(
    postgres: PostgresServer, stores: tuple[SqlStore, SqlStore]
) -> None:
    a, b = map(gateways_of, stores)
    await a.renew()
    await b.renew()
    assert await a.dead(1000) == []
    let_pass(postgres, "b/1", 1001)
    assert await a.dead(1000) == ["b/1"]
    assert await b.dead(1000) == []  # nobody finds itself dead

    await a.remove(["b/1"], 1000)
    assert (await a.renew()).others == []
    assert (await b.renew()).was_missing
    await b.leave()
    assert (await a.renew()).others == []


async def test_a_gateway_that_died_before_the_databases_clock_was_set_back_is_dead(
    postgres: PostgresServer, stores: tuple[SqlStore, SqlStore]
) -> None:
    a, b = map(gateways_of, stores)
    await b.renew()
    let_pass(postgres, "b/1", -3600)
    assert await a.dead(1000) == ["b/1"]

    await a.remove(["b/1"], 1000)
    assert (await a.renew()).others == []


async def test_a_renewal_tells_the_databases_time(
    postgres: PostgresServer, stores: tuple[SqlStore, SqlStore]
) -> None:
    now = "SELECT extract(epoch FROM clock_timestamp())"
    before = float(postgres.sql(now))
    told = (await gateways_of(stores[0]).renew()).database_at
    assert before <= told <= float(postgres.sql(now))


async def test_a_gateway_that_came_back_is_not_removed(stores: tuple[SqlStore, SqlStore]) -> None:
    a, b = map(gateways_of, stores)
    await b.renew()
    await a.remove(["b/1"], 1000)

    assert [other.owner for other in (await a.renew()).others] == ["b/1"]


async def test_a_dead_gateway_is_not_removed_while_it_has_running_replies(
    postgres: PostgresServer, stores: tuple[SqlStore, SqlStore]
) -> None:
    a, b = stores
    await gateways_of(b).renew()
    await b.begin(question(stream_id="bs"))
    let_pass(postgres, "b/1", 1001)

    await gateways_of(a).remove(["b/1"], 1000)
    assert [other.owner for other in (await gateways_of(a).renew()).others] == ["b/1"]
    await a.adopt(["b/1"])
    await gateways_of(a).remove(["b/1"], 1000)
    assert (await gateways_of(a).renew()).others == []


async def test_the_owner_of_a_running_reply_without_a_row_is_dead(
    stores: tuple[SqlStore, SqlStore],
) -> None:
    a, b = stores
    await gateways_of(a).renew()
    await b.begin(question(stream_id="bs"))

    assert await gateways_of(a).dead(1000) == ["b/1"]
    await gateways_of(b).renew()
    assert await gateways_of(a).dead(1000) == []


async def test_a_reply_that_its_owner_releases_has_a_dead_owner_until_somebody_takes_it(
    stores: tuple[SqlStore, SqlStore],
) -> None:
    a, b = stores
    await gateways_of(b).renew()
    for stream_id in ("kept", "released"):
        await b.begin(question(stream_id=stream_id, handle={"conversation_id": stream_id}))
    assert sorted(await gateways_of(b).owned()) == ["kept", "released"]
    assert await gateways_of(a).owned() == []

    await gateways_of(a).release(["kept"])
    await gateways_of(b).release(["released"])
    assert await gateways_of(b).owned() == ["kept"]
    dead = await gateways_of(b).dead(1000)
    assert len(dead) == 1
    (taken,) = (await b.adopt(dead)).replies
    assert taken.message.stream_id == "released"
    assert sorted(await gateways_of(b).owned()) == ["kept", "released"]


async def test_only_replies_of_dead_gateways_are_swept_and_by_one_only(
    stores: tuple[SqlStore, SqlStore], rig: PostgresRig
) -> None:
    a, b = stores
    mine = await a.begin(question(stream_id="as"))
    await b.begin(question(stream_id="bs"))
    async with (c := rig.store(owner="c/1")).running():
        await c.begin(question(stream_id="cs"))

    swept = await asyncio.gather(*(store.sweep(["c/1"]) for store in (a, b)))

    assert sorted(swept) == [0, 1]
    assert [(await a.reply("local", id)).status for id in ("as", "bs", "cs")] == [
        "streaming",
        "streaming",
        "interrupted",
    ]
    assert await rig.ownership(mine.assistant_message_id) == ("a/1", 0, None)


async def test_a_connection_that_the_server_closed_is_replaced_and_signals_may_be_missed(
    postgres: PostgresServer, stores: tuple[SqlStore, SqlStore]
) -> None:
    a, b = stores
    missed = asyncio.Event()
    a.membership.signals.on_missed(missed.set)
    a.membership.signals.on("topic", heard := Heard())
    await gateways_of(a).renew()
    assert not missed.is_set()
    postgres.sql(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE query LIKE '%WITH mine%'"
        " AND pid <> pg_backend_pid()",
        "shared",
    )
    while not missed.is_set():
        try:
            await gateways_of(a).renew()
        except StorageFailed:  # asyncpg notices some closed connections only when it sends
            continue
    async with b.membership.signals.running():
        b.membership.signals.send("topic", {})
        assert await heard.next() == {}


async def test_who_is_alone_sends_nothing_until_another_one_comes(
    postgres: PostgresServer, stores: tuple[SqlStore, SqlStore]
) -> None:
    a, b = stores
    b.membership.signals.on("topic", heard := Heard())
    async with a.membership.signals.running():
        await gateways_of(a).renew()  # it is alone now
        a.membership.signals.send("topic", {"number": 1})
        async with b.membership.signals.running():
            a.membership.signals.on("topic", met := Heard())
            b.membership.signals.send("topic", {})
            await met.next()
            a.membership.signals.send("topic", {"number": 2})

            assert await heard.next() == {"number": 2}


async def test_notifications_that_are_no_signals_are_ignored(
    postgres: PostgresServer, stores: tuple[SqlStore, SqlStore], caplog: pytest.LogCaptureFixture
) -> None:
    a, _ = stores
    a.membership.signals.on("topic", heard := Heard())
    await gateways_of(a).renew()
    good = """{"from": "x", "topic": "topic", "body": {"good": true}}"""
    for payload in ("", "rubbish", "[]", "{}", '{"from": 1, "topic": 2, "body": 3}', "null", '"x"', good):
        postgres.sql(f"SELECT pg_notify('sluice/public', '{payload}')", "shared")

    assert await heard.next() == {"good": True}
    assert "no signal: 'rubbish'" in caplog.text


async def test_changes_of_keys_and_settings_are_signalled_by_the_transaction(
    stores: tuple[SqlStore, SqlStore],
) -> None:
    from gateway.contract.audit import Actor, Change
    from gateway.contract.keys import KeyChange, NewKey

    a, b = stores
    b.membership.signals.on("keys", keys := Heard())
    b.membership.signals.on("settings", settings := Heard())
    await gateways_of(b).renew()
    actor = Actor("anna", "test")

    created = await a.keys.create(NewKey("f" * 64, "sk-", "anna", "laptop"))
    await keys.next()
    await a.keys.change(created.id, KeyChange(tokens_per_day=5))
    await keys.next()
    await a.keys.revoke(created.id)
    await keys.next()
    await a.kept_settings.put("mode", {"mode": "mqtt"}, Change(actor, "mode.switch", "mqtt"))
    await settings.next()
    await a.kept_settings.remove("mode", Change(actor, "mode.reset", "sse"))
    await settings.next()
