"""What every message store promises, whatever database it stands on."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import fields, replace
from datetime import UTC
from pathlib import Path
from textwrap import dedent

import pytest

from gateway.contract.errors import Conflict, NotFound, StorageFailed
from gateway.contract.events import ToolCall, Usage
from gateway.contract.store import Checkpoint, IdempotencyClaim, MessageStore, StoredError, StoredMessage
from tests.store.exchanges import answer, ask, question
from tests.store.rigs import STORE_RIGS, StoreRig

TEXTS = [
    "two\nlines\r\nand a tab\t.",
    "emoji 🙂, a family 👩‍👩‍👧‍👦, 日本語, e\u0301",
    "separators \u2028 and \u2029 and \x85",
    "'; DROP TABLE messages; --",
    "100 % _under_ \\back",
]


@pytest.fixture(params=STORE_RIGS, ids=lambda rig: rig.__name__)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> StoreRig:
    make: Callable[[Path], StoreRig] = request.param
    return make(tmp_path)


@pytest.fixture
async def store(rig: StoreRig) -> AsyncIterator[MessageStore]:
    async with asyncio.timeout(5), (kept := rig.store()).running():
        yield kept


async def both(store: MessageStore, session_id: int) -> tuple[StoredMessage, StoredMessage]:
    asked, replied = await store.messages("local", session_id)
    return asked, replied


async def test_begin_saves_the_question_and_an_empty_reply_that_streams(store: MessageStore) -> None:
    exchange = await store.begin(question(content="Why?", stream_id="s1", mode="mqtt", delivery="chunked"))

    asked, replied = await both(store, exchange.session_id)
    assert (asked.id, replied.id) == (exchange.user_message_id, exchange.assistant_message_id)
    assert (asked.role, asked.content, asked.status) == ("user", "Why?", "complete")
    assert (asked.stream_id, asked.mode, asked.delivery) == (None, None, None)
    assert (replied.role, replied.content, replied.status) == ("assistant", "", "streaming")
    assert (replied.stream_id, replied.mode, replied.delivery) == ("s1", "mqtt", "chunked")
    assert replied.created_at.tzinfo is UTC
    assert asked.uuid != replied.uuid


async def test_a_new_session_has_the_title_and_a_key_that_names_its_user(store: MessageStore) -> None:
    exchange = await store.begin(question(user_id="anna", title="Locks"))

    session = await store.session("anna", exchange.session_id)
    assert (session.title, session.user_id, session.key) == ("Locks", "anna", exchange.session_key)
    user, _, random = session.key.rpartition("-")
    assert (user, len(bytes.fromhex(random))) == ("anna", 3)


async def test_a_session_without_a_title_takes_the_first_exchange_s_and_keeps_it(store: MessageStore) -> None:
    session = await store.create_session("local", "")

    await store.begin(question(session.id, title="first"))
    await store.begin(question(session.id, title="second"))

    assert (await store.session("local", session.id)).title == "first"


async def test_a_title_is_cut_to_120_characters(store: MessageStore) -> None:
    session = await store.create_session("local", "🙂" * 200)

    assert session.title == "🙂" * 120
    assert await store.session("local", session.id) == session


async def test_everything_about_a_reply_is_given_back(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    final = answer(
        exchange,
        "half",
        status="failed",
        reason="gap",
        delivery="chunked",
        mode="mqtt",
        reasoning="hm",
        tool_calls=(ToolCall("c1", "open", '{"gate": '),),
        model="tiny",
        usage=Usage(3, 4, 7, 12.5),
        ttft_ms=41.5,
        error=StoredError("gap", "frames are missing"),
    )

    assert await store.finish(final)

    kept = await store.reply("local", "s1")
    _, listed = await both(store, exchange.session_id)
    assert kept == listed
    told = {field.name for field in fields(final)} - {"assistant_message_id", "over"}
    assert {name: getattr(kept, name) for name in told} == {name: getattr(final, name) for name in told}


async def test_a_checkpoint_is_kept_while_the_reply_streams(store: MessageStore) -> None:
    first, second = await store.begin(question()), await store.begin(question())

    await store.checkpoint(
        [
            Checkpoint(first.assistant_message_id, "one", None),
            Checkpoint(second.assistant_message_id, "two", "thought"),
        ]
    )

    assert (await both(store, first.session_id))[1].content == "one"
    kept = (await both(store, second.session_id))[1]
    assert (kept.content, kept.reasoning, kept.status) == ("two", "thought", "streaming")


async def test_nothing_changes_a_reply_that_is_finished(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    assert await store.finish(answer(exchange, "whole"))
    kept = await store.reply("local", "s1")

    await store.checkpoint([Checkpoint(exchange.assistant_message_id, "late", None)])
    assert not await store.finish(answer(exchange, "again", status="failed", reason="timeout"))

    assert await store.reply("local", "s1") == kept


async def test_a_stop_while_pacing_rewrites_a_complete_reply_once(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))
    shown = answer(exchange, "who", status="cancelled", reason="user_stop", over="complete")

    assert await store.finish(answer(exchange, "whole"))
    assert await store.finish(shown)
    assert not await store.finish(shown)

    kept = await store.reply("local", "s1")
    assert (kept.status, kept.reason, kept.content) == ("cancelled", "user_stop", "who")


async def test_a_stop_before_the_whole_reply_was_kept_is_kept_too(store: MessageStore) -> None:
    exchange = await store.begin(question(stream_id="s1"))

    assert await store.finish(
        answer(exchange, "who", status="cancelled", reason="user_stop", over="complete")
    )

    kept = await store.reply("local", "s1")
    assert (kept.status, kept.content) == ("cancelled", "who")


async def test_a_reply_that_does_not_exist_is_not_finished(store: MessageStore) -> None:
    exchange = await store.begin(question())

    assert not await store.finish(answer(replace(exchange, assistant_message_id=999_999)))


async def test_what_is_handed_over_at_once_is_applied_in_order(store: MessageStore) -> None:
    exchanges = await asyncio.gather(*(store.begin(question()) for _ in range(20)))

    async def said(text: str, at: int) -> None:
        await store.checkpoint([Checkpoint(exchanges[at].assistant_message_id, text, None)])

    outcomes = await asyncio.gather(
        *(said(text, at) for text in ("a", "ab", "abc") for at in range(20)),
        *(store.finish(answer(exchange, "abcd")) for exchange in exchanges[:10]),
        *(said("late", at) for at in range(10)),
        *(store.finish(answer(exchange, "second")) for exchange in exchanges[:10]),
    )

    assert outcomes[60:70] == [True] * 10
    assert outcomes[80:] == [False] * 10
    kept = [(await both(store, exchange.session_id))[1] for exchange in exchanges]
    assert [reply.content for reply in kept] == ["abcd"] * 10 + ["abc"] * 10
    assert [reply.status for reply in kept] == ["complete"] * 10 + ["streaming"] * 10


async def test_many_who_ask_at_once_each_get_their_own_reply(store: MessageStore) -> None:
    session = await store.create_session("local", "")
    asked = [question(session.id if number % 2 else None, content=str(number)) for number in range(300)]

    exchanges = await asyncio.gather(*map(store.begin, asked))

    for new, exchange in zip(asked, exchanges, strict=True):
        reply = await store.reply("local", new.stream_id)
        assert (reply.id, reply.session_id) == (exchange.assistant_message_id, exchange.session_id)
    shared = await store.messages("local", session.id, limit=1000)
    assert [message.content for message in shared if message.role == "user"] == [
        str(number) for number in range(1, 300, 2)
    ]
    assert [message.role for message in shared] == ["user", "assistant"] * 150


SOMEBODY_ELSE_S: dict[str, Callable[[MessageStore, int], Awaitable[object]]] = {
    "session": lambda store, id: store.session("eve", id),
    "messages": lambda store, id: store.messages("eve", id),
    "history": lambda store, id: store.history("eve", id, max_chars=100),
    "sessions after it": lambda store, id: store.sessions("eve", before=id),
    "reply": lambda store, id: store.reply("eve", "s1"),
    "begin": lambda store, id: store.begin(question(id, user_id="eve")),
}


@pytest.mark.parametrize("asked", SOMEBODY_ELSE_S.values(), ids=SOMEBODY_ELSE_S)
async def test_what_is_somebody_else_s_does_not_exist(
    store: MessageStore, asked: Callable[[MessageStore, int], Awaitable[object]]
) -> None:
    exchange = await store.begin(question(stream_id="s1"))

    with pytest.raises(NotFound):
        await asked(store, exchange.session_id)

    assert await store.sessions("eve") == []
    assert len(await store.messages("local", exchange.session_id)) == 2


@pytest.mark.parametrize("id", [0, -1, 7, 2**63 - 1, 2**63, 10**30])
async def test_a_session_nobody_has_is_not_found(store: MessageStore, id: int) -> None:
    for asked in (
        store.session("local", id),
        store.messages("local", id),
        store.history("local", id, max_chars=10),
        store.sessions("local", before=id),
        store.begin(question(id)),
    ):
        with pytest.raises(NotFound):
            await asked


@pytest.mark.parametrize("text", TEXTS)
async def test_text_is_kept_as_it_is(store: MessageStore, text: str) -> None:
    exchange = await store.begin(question(content=text, title=text, stream_id="s1"))
    await store.finish(answer(exchange, text, reasoning=text, tool_calls=(ToolCall("1", "f", text),)))

    asked, replied = await both(store, exchange.session_id)
    assert asked.content == replied.content == replied.reasoning == replied.tool_calls[0].arguments == text
    assert (await store.session("local", exchange.session_id)).title == text
    assert [found.id for found in await store.sessions("local", query=text)] == [exchange.session_id]


async def test_what_no_database_takes_is_replaced_character_by_character(store: MessageStore) -> None:
    bad, good = "a\0b\ud83d🙂\udc00", "a\ufffdb\ufffd🙂\ufffd"
    session = await store.create_session(bad, "")
    claim = IdempotencyClaim(bad, "f")

    exchange = await store.begin(
        question(session.id, user_id=bad, content=bad, title=bad, stream_id=bad, idempotency=claim)
    )
    await store.checkpoint([Checkpoint(exchange.assistant_message_id, bad, bad)])
    await store.finish(
        answer(exchange, bad, model=bad, error=StoredError(bad, bad), tool_calls=(ToolCall(bad, bad, bad),))
    )

    kept = await store.reply(bad, bad)
    assert (kept.content, kept.model, kept.stream_id) == (good, good, good)
    assert kept.tool_calls == (ToolCall(good, good, good),)
    assert kept.error == StoredError(good, good)
    assert (await store.session(bad, session.id)).title == good
    assert len(await store.sessions(bad, query=bad)) == 1
    with pytest.raises(Conflict):
        await store.begin(question(user_id=bad, idempotency=claim))


async def test_sessions_come_latest_active_first_and_in_pages(store: MessageStore) -> None:
    made = [(await store.create_session("local", f"n{number}")).id for number in range(5)]
    await store.begin(question(made[0]))

    expected = [made[0], *reversed(made[1:])]
    pages = [await store.sessions("local", limit=2)]
    while pages[-1]:
        pages.append(await store.sessions("local", before=pages[-1][-1].id, limit=2))

    assert [[session.id for session in page] for page in pages] == [
        expected[:2],
        expected[2:4],
        expected[4:],
        [],
    ]


async def test_sessions_of_one_moment_are_all_seen_when_paging(store: MessageStore) -> None:
    await asyncio.gather(*(store.create_session("local", "") for _ in range(5)))

    seen: list[int] = []
    while page := await store.sessions("local", before=seen[-1] if seen else None, limit=2):
        seen += [session.id for session in page]

    assert len(seen) == len(set(seen)) == 5


async def test_a_query_finds_part_of_a_title_in_any_case_and_literally(store: MessageStore) -> None:
    for title in ("Über Schleusen", "100 % sure", "a_b", "axb", "1000 sure"):
        await store.create_session("local", title)

    async def found(query: str) -> list[str]:
        return [session.title for session in await store.sessions("local", query=query)]

    assert await found("ÜBER sch") == ["Über Schleusen"]
    assert await found("00 %") == ["100 % sure"]
    assert await found("A_B") == ["a_b"]
    assert await found("nothing") == []


async def test_messages_come_oldest_first_and_in_pages(store: MessageStore) -> None:
    session = (await ask(store, "q0", "a0")).session_id
    for number in (1, 2):
        await ask(store, f"q{number}", f"a{number}", session)

    first = await store.messages("local", session, limit=4)
    rest = await store.messages("local", session, after=first[-1].id, limit=4)

    assert [message.content for message in (*first, *rest)] == ["q0", "a0", "q1", "a1", "q2", "a2"]
    assert await store.messages("local", session, after=10**30) == []


async def test_history_is_the_latest_finished_text_that_fits(store: MessageStore) -> None:
    session = (await ask(store, "aaaa", "")).session_id
    await ask(store, "🙂🙂", "cc", session)
    streaming = await store.begin(question(session, content="dd"))
    await store.checkpoint([Checkpoint(streaming.assistant_message_id, "e", None)])

    async def texts(max_chars: int) -> list[str]:
        kept, history = await store.history("local", session, max_chars=max_chars)
        assert kept == await store.session("local", session)
        return [message.content for message in history]

    assert await texts(10) == ["aaaa", "🙂🙂", "cc", "dd"]
    assert await texts(9) == ["🙂🙂", "cc", "dd"]
    assert await texts(5) == ["cc", "dd"]
    assert await texts(1) == []


async def test_a_message_that_does_not_fit_hides_the_older_ones(store: MessageStore) -> None:
    session = (await ask(store, "a", "b" * 50)).session_id
    await ask(store, "c", "d", session)

    _, history = await store.history("local", session, max_chars=20)

    assert [message.content for message in history] == ["c", "d"]


async def test_a_long_history_is_whole(store: MessageStore) -> None:
    session = await store.create_session("local", "")
    exchanges = [await store.begin(question(session.id, content=str(number))) for number in range(130)]
    await asyncio.gather(*(store.finish(answer(exchange, "a")) for exchange in exchanges))

    _, history = await store.history("local", session.id, max_chars=10_000)

    assert [message.content for message in history[::2]] == [str(number) for number in range(130)]


async def test_a_sweep_interrupts_what_still_streams_and_keeps_its_text(store: MessageStore) -> None:
    done = await ask(store, "q", "whole")
    dead = await store.begin(question(stream_id="dead"))
    await store.checkpoint([Checkpoint(dead.assistant_message_id, "half", None)])

    assert await store.sweep() == 1
    assert await store.sweep() == 0

    kept = await store.reply("local", "dead")
    assert (kept.status, kept.reason, kept.content) == ("interrupted", "interrupted", "half")
    assert (await both(store, done.session_id))[1].status == "complete"
    assert not await store.finish(answer(dead))


async def test_one_change_that_cannot_be_kept_fails_alone(store: MessageStore) -> None:
    exchanges = [await store.begin(question()) for _ in range(5)]
    replies = [answer(exchange, str(at)) for at, exchange in enumerate(exchanges)]
    replies[2] = replace(replies[2], usage=Usage(0, 0, 10**30))

    outcomes = await asyncio.gather(*map(store.finish, replies), return_exceptions=True)

    assert isinstance(outcomes.pop(2), StorageFailed)
    assert outcomes == [True] * 4
    statuses = [(await both(store, exchange.session_id))[1].status for exchange in exchanges]
    assert statuses == ["complete", "complete", "streaming", "complete", "complete"]


async def test_a_stream_id_that_was_used_fails_its_caller_alone_and_saves_nothing(
    store: MessageStore,
) -> None:
    await store.begin(question(stream_id="s1"))

    outcomes = await asyncio.gather(
        store.begin(question(user_id="x", stream_id="s1")),
        store.begin(question(user_id="y")),
        return_exceptions=True,
    )

    assert isinstance(outcomes[0], StorageFailed)
    assert await store.sessions("x") == []
    assert len(await store.sessions("y")) == 1


async def test_an_idempotency_key_is_claimed_once_by_each_user(store: MessageStore) -> None:
    claim = IdempotencyClaim("k", "f" * 64)
    await store.begin(question(idempotency=claim))

    outcomes = await asyncio.gather(
        *(
            store.begin(question(user_id=user, idempotency=claim))
            for user in ("local", "anna", "anna", "ben")
        ),
        store.begin(question(user_id="ben")),
        return_exceptions=True,
    )

    assert [type(outcome) is Conflict for outcome in outcomes] == [True, False, True, False, False]
    assert [len(await store.sessions(user)) for user in ("local", "anna", "ben")] == [1, 1, 2]


async def test_a_caller_that_gives_up_while_it_waits_saves_nothing_and_harms_nobody(
    store: MessageStore,
) -> None:
    given_up = asyncio.ensure_future(store.begin(question(user_id="gone")))
    others = [asyncio.ensure_future(store.begin(question())) for _ in range(3)]
    await asyncio.sleep(0)  # each has handed over its question, and the writer has not looked yet
    given_up.cancel()

    await asyncio.wait(others)

    assert [other.exception() for other in others] == [None] * 3
    assert given_up.cancelled()
    assert await store.sessions("gone") == []


async def test_a_reader_that_gives_up_harms_nobody(store: MessageStore) -> None:
    exchange = await ask(store, "q", "a")
    await store.messages("local", exchange.session_id)  # connected, so that the reading itself is given up
    for moment in range(12):
        reading = asyncio.ensure_future(store.messages("local", exchange.session_id))
        for _ in range(moment):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])

    readers = [store.messages("local", exchange.session_id) for _ in range(20)]
    assert {len(messages) for messages in await asyncio.gather(*readers)} == {2}


async def test_leaving_first_commits_what_was_handed_over(rig: StoreRig) -> None:
    async with asyncio.timeout(5):
        async with rig.store().running():
            pass
        store = rig.store()
        async with store.running():
            begun = [asyncio.ensure_future(store.begin(question())) for _ in range(500)]
            await asyncio.sleep(0)
        assert all([await exchange for exchange in begun])
        async with (again := rig.store()).running():
            assert len(await again.sessions("local", limit=1000)) == 500


async def test_a_store_that_is_closed_says_so(rig: StoreRig) -> None:
    async with asyncio.timeout(5):
        async with (store := rig.store()).running():
            await store.ping()
        with pytest.raises(StorageFailed):
            await store.begin(question())
        with pytest.raises(StorageFailed):
            await store.ping()


async def test_what_was_committed_survives_kill_9(rig: StoreRig) -> None:
    child = dedent("""
        import asyncio, sys
        from gateway.contract.store import Checkpoint
        from gateway.store.sql_store import SqlStore
        from tests.store.exchanges import answer, question

        async def main():
            store = SqlStore(sys.argv[1])
            async with store.running():
                await store.finish(answer(await store.begin(question(stream_id="done")), "whole"))
                dead = await store.begin(question(stream_id="dead"))
                await store.checkpoint([Checkpoint(dead.assistant_message_id, "half", None)])
                print("kept", flush=True)
                await asyncio.Event().wait()

        asyncio.run(main())
    """)
    async with asyncio.timeout(10):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", child, rig.url, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"kept\n"
        process.kill()
        await process.communicate()

        async with (store := rig.store()).running():
            assert await store.sweep() == 1
            done, dead = await store.reply("local", "done"), await store.reply("local", "dead")
    assert (done.status, done.content) == ("complete", "whole")
    assert (dead.status, dead.content) == ("interrupted", "half")
