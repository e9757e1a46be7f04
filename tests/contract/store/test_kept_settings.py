"""Settings that administrators changed, and the audit log that is committed with each change."""

from gateway.contract.audit import Actor, Change
from gateway.store.sql_store import SqlStore
from tests.store.rigs import SqlRig

ANNA, LOCAL = Actor("anna", "192.0.2.7", 3), Actor("local", "127.0.0.1")


async def test_a_setting_is_kept_with_its_latest_author_and_time(sql_store: SqlStore) -> None:
    first = await sql_store.kept_settings.put("mode", {"mode": "sse"}, Change(LOCAL, "mode.switch", "sse"))
    second = await sql_store.kept_settings.put("mode", {"mode": "mqtt"}, Change(ANNA, "mode.switch", "mqtt"))
    other = await sql_store.kept_settings.put(
        "worker/w", {"disabled": True}, Change(ANNA, "worker.disable", "w")
    )
    assert await sql_store.kept_settings.all() == [second, other]
    assert (second.set_by, second.value, second.set_at > first.set_at) == (ANNA, {"mode": "mqtt"}, True)


async def test_every_change_is_in_the_log_and_what_changed_nothing_is_not(sql_store: SqlStore) -> None:
    await sql_store.kept_settings.put("mode", {}, Change(ANNA, "mode.switch", "mqtt", {"before": "sse"}))
    assert await sql_store.kept_settings.remove("mode", Change(LOCAL, "mode.reset", "sse"))
    assert not await sql_store.kept_settings.remove("mode", Change(LOCAL, "mode.reset", "sse"))
    await sql_store.audit_log.record(Change(ANNA, "stream.stop", "0123"))
    changes = await sql_store.audit_log.changes()
    assert [stored.change for stored in changes] == [
        Change(ANNA, "stream.stop", "0123"),
        Change(LOCAL, "mode.reset", "sse"),
        Change(ANNA, "mode.switch", "mqtt", {"before": "sse"}),
    ]
    assert [stored.at for stored in changes] == sorted((stored.at for stored in changes), reverse=True)
    assert await sql_store.audit_log.changes(before=changes[1].id, limit=5) == changes[2:]
    assert await sql_store.audit_log.changes(limit=1) == changes[:1]


async def test_both_survive_a_restart(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        kept = await store.kept_settings.put("mode", {"mode": "mqtt"}, Change(ANNA, "mode.switch", "mqtt"))
    async with (store := sql_rig.store()).running():
        assert await store.kept_settings.all() == [kept]
        assert len(await store.audit_log.changes()) == 1
