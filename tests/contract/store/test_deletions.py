"""Contract of databases: messages that are too old or too many are deleted, and a user can be erased."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from gateway.contract.audit import Actor
from gateway.contract.authors import Author
from gateway.contract.deletions import Forgotten
from gateway.contract.errors import Conflict, NotFound, StorageFailed
from gateway.contract.events import Usage
from gateway.contract.exchanges import IdempotencyClaim
from gateway.contract.keys import NewKey
from gateway.contract.notes import NewNote
from gateway.contract.requests import Sampling
from gateway.contract.rooms import Member
from gateway.contract.templates import Template
from gateway.store.message_pages import with_siblings
from gateway.store.removal import BATCH
from gateway.store.sql_store import SqlStore
from tests.store.exchanges import answer, ask, question
from tests.store.rigs import SqlRig

ACTOR = Actor("root", "command line")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.deletions.PAUSE_S", 0)


async def contents(store: SqlStore, session_id: int) -> list[str]:
    return [message.content for message in await store.messages("local", session_id)]


async def test_messages_from_before_a_moment_go_and_sessions_that_are_empty_then(
    sql_rig: SqlRig, sql_store: SqlStore
) -> None:
    store = sql_store
    old = await ask(store, "old", "a")
    running = await store.begin(question(content="running", stream_id="s1"))
    both = await ask(store, "first", "a")
    await store.create_session("local", "never used")
    sql_rig.later(timedelta(days=1))
    moment = sql_rig.now()
    await ask(store, "second", "b", both.session_id)
    unused = await store.create_session("local", "new and not used yet")

    # The question of the running reply is old; the reply stays, and is an end without it.
    assert await store.deletions.forget(before=moment, keep=0) == Forgotten(5, 2)

    with pytest.raises(NotFound):
        await store.messages("local", old.session_id)
    assert await contents(store, both.session_id) == ["second", "b"]
    assert (await store.messages("local", both.session_id))[0].parent_id is None
    assert await store.finish(answer(running, "done"))
    assert (await store.reply("local", "s1")).parent_id is None
    assert {session.id for session in await store.sessions("local")} == {
        *(running.session_id, both.session_id, unused.id)
    }
    figures = await store.usage.figures()
    assert (figures.messages, figures.sessions) == (3, 3)
    # The reply has ended, so that it goes now, and its session too.
    assert await store.deletions.forget(before=moment, keep=0) == Forgotten(1, 1)


async def test_messages_of_a_clock_that_was_wrong_do_not_keep_those_behind_them(
    sql_rig: SqlRig, sql_store: SqlStore
) -> None:
    years = timedelta(days=3650)
    sql_rig.later(years)
    for _ in range(BATCH // 2):
        await ask(sql_store, "of the future", "a")
    sql_rig.later(-years)
    await ask(sql_store, "old", "a")
    sql_rig.later(timedelta(days=1))

    assert await sql_store.deletions.forget(before=sql_rig.now(), keep=0) == Forgotten(2, 1)


async def test_a_session_keeps_its_latest_messages_from_a_question_on(sql_store: SqlStore) -> None:
    store = sql_store
    long = await ask(store, "q0", "a0")
    for number in range(1, BATCH):
        await ask(store, f"q{number}", f"a{number}", long.session_id)
    short = await ask(store, "q", "a")
    running = await store.begin(question(long.session_id, content="last"))

    assert await store.deletions.forget(before=None, keep=5) == Forgotten(2 * BATCH - 2, 0)

    assert await contents(store, long.session_id) == [f"q{BATCH - 1}", f"a{BATCH - 1}", "last", ""]
    assert (await store.messages("local", long.session_id))[0].parent_id is None
    assert await contents(store, short.session_id) == ["q", "a"]
    assert await store.finish(answer(running, "done"))
    assert (await store.usage.figures()).messages == 6


async def test_a_room_of_notes_keeps_its_latest_ones(sql_store: SqlStore) -> None:
    store = sql_store
    session = await store.create_session("local", "")
    for number in range(10):
        await store.post(
            NewNote(
                "local",
                session.id,
                Author("user", "local"),
                str(number),
                origin="broadcast" if number else "room",
                role="assistant" if number else "user",
            )
        )

    assert await store.deletions.forget(before=None, keep=3) == Forgotten(7, 0)

    assert await contents(store, session.id) == ["7", "8", "9"]
    first, *_ = await store.messages("local", session.id)
    assert first.parent_id is None


async def test_changes_are_made_between_the_batches(sql_rig: SqlRig, sql_store: SqlStore) -> None:
    store = sql_store
    for _ in range(BATCH):
        await ask(store, "q", "a")
    sql_rig.later(timedelta(days=1))
    forgetting = asyncio.ensure_future(store.deletions.forget(before=sql_rig.now(), keep=0))
    begun = [await ask(store, "between", "a") for _ in range(3)]

    assert await forgetting == Forgotten(2 * BATCH, BATCH)
    for exchange in begun:
        assert await contents(store, exchange.session_id) == ["between", "a"]


async def test_a_user_is_erased_and_nobody_else(sql_store: SqlStore) -> None:
    store = sql_store
    for user in ("anna", "ben"):
        claim = IdempotencyClaim("k", "f")
        exchange = await store.begin(question(user_id=user, idempotency=claim))
        await store.finish(answer(exchange, usage=Usage(1, 2, 3), model="tiny"))
        await store.create_session(user, "")
        await store.templates.create(user, Template("t", None, None, Sampling()))
        await store.add_device(f"robot-{user}", user, ACTOR)
        await store.keys.create(NewKey(user * 9, f"sk-{user}", user, "laptop", frozenset({"chat"})), ACTOR)
    kitchen = await store.create_session("carol", "Kitchen")
    await store.rooms.add("carol", kitchen.id, [Member("user", "anna"), Member("device", "anna")])

    erased = await store.deletions.erase_user("anna")

    assert [member.name for member in await store.rooms.members(kitchen.id)] == ["carol", "anna"]
    # The idempotency key went with its message.
    assert erased == {
        **{
            "sessions": 2,
            "messages": 2,
            "idempotency_keys": 0,
            "devices": 1,
            "templates": 1,
            "attachments": 0,
            "room_members": 1,
        },
        **{"token_usage": 1, "api_keys": 1},
    }
    assert set((await store.deletions.erase_user("anna")).values()) == {0}
    assert await store.sessions("anna") == []
    assert [len(await store.sessions("ben")), len(await store.templates.all("ben"))] == [2, 1]
    assert [device.name for device in await store.devices()] == ["robot-ben"]
    keys = {stored.key.user_id: stored for stored in await store.keys.all()}
    assert set(keys) == {"erased", "ben"}
    assert (keys["erased"].key.name, keys["ben"].revoked_at) == ("", None)
    assert isinstance(keys["erased"].revoked_at, datetime)
    figures = await store.usage.figures()
    assert (figures.messages, figures.sessions, figures.replies_today) == (2, 3, 1)


async def test_a_user_with_many_messages_is_erased(sql_store: SqlStore) -> None:
    for _ in range(BATCH + 1):
        await ask(sql_store, "q", "a")

    erased = await sql_store.deletions.erase_user("local")
    assert (erased["sessions"], erased["messages"]) == (BATCH + 1, 2 * BATCH + 2)


async def test_an_erasure_is_recorded_with_its_first_rows_and_with_its_last_ones(sql_store: SqlStore) -> None:
    for _ in range(BATCH):
        await ask(sql_store, "q", "a")
    await sql_store.deletions.erase_user("local", ACTOR)
    await sql_store.deletions.erase_user("local", ACTOR)

    done, begun = [stored.change for stored in await sql_store.audit_log.changes()]
    assert (begun.action, begun.subject, begun.detail) == ("user.erase", "local", {"state": "begun"})
    assert (done.subject, done.actor, done.detail["state"]) == ("local", ACTOR, "done")
    assert (done.detail["messages"], done.detail["sessions"]) == (2 * BATCH, BATCH)


async def test_an_erasure_that_ends_early_is_in_the_audit_log(
    sql_store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database refuses behind the first batch, which was committed with the entry."""
    for _ in range(BATCH):
        await ask(sql_store, "q", "a")
    writer = sql_store.deletions._writer
    batches = iter([writer.do])

    async def once(write: Any, payload: Any) -> Any:
        for do in batches:
            return await do(write, payload)
        raise StorageFailed("The disk is gone.")

    monkeypatch.setattr(writer, "do", once)
    with pytest.raises(StorageFailed):
        await sql_store.deletions.erase_user("local", ACTOR)
    monkeypatch.undo()
    (begun,) = [stored.change for stored in await sql_store.audit_log.changes()]
    assert begun.detail == {"state": "begun"}
    assert (await sql_store.usage.figures()).messages == 2 * BATCH - BATCH


async def test_an_erasure_without_rows_is_not_recorded(sql_store: SqlStore) -> None:
    await sql_store.deletions.erase_user("nobody", ACTOR)
    assert await sql_store.audit_log.changes() == []


async def test_old_entries_of_the_audit_log_are_deleted(sql_store: SqlStore) -> None:
    for name in ("robot-1", "robot-2", "robot-3"):
        await sql_store.add_device(name, "anna", ACTOR)
    latest, _, oldest = await sql_store.audit_log.changes()
    assert await sql_store.deletions.forget_changes(oldest.at) == 0
    assert await sql_store.deletions.forget_changes(latest.at) == 2
    assert await sql_store.audit_log.changes() == [latest]


async def test_a_user_is_not_erased_while_a_reply_runs(sql_store: SqlStore) -> None:
    running = await sql_store.begin(question())

    with pytest.raises(Conflict, match="1 replies of local are running: stop them or wait"):
        await sql_store.deletions.erase_user("local")

    await sql_store.finish(answer(running))
    assert (await sql_store.deletions.erase_user("local"))["messages"] == 2


@pytest.mark.parametrize("goes", ["session", "question"])
async def test_a_page_whose_messages_go_while_it_is_read_has_them_still(
    sql_store: SqlStore, goes: str
) -> None:
    store = sql_store
    asked = await ask(store, "q", "a")
    page = await store.messages("local", asked.session_id)
    if goes == "session":
        await store.delete_session("local", asked.session_id)
    else:
        await ask(store, "q2", "a2", asked.session_id)
        await store.deletions.forget(before=None, keep=2)

    async with store._database.reader() as connection:
        read = await with_siblings(connection, asked.session_id, page)

    assert [message.siblings for message in read] == [(message.id,) for message in page]
