"""Contract of message stores: reading messages and sessions, each only by its own user."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.contract.branches import Spot
from gateway.contract.errors import Conflict, NotFound
from gateway.contract.events import ToolCall
from gateway.contract.exchanges import Checkpoint, IdempotencyClaim, StoredError
from gateway.contract.store import MessageStore
from tests.store.exchanges import answer, ask, both, question

TEXTS = [
    "two\nlines\r\nand a tab\t.",
    "emoji 🙂, a family 👩‍👩‍👧‍👦, 日本語, e\u0301",
    "separators \u2028 and \u2029 and \x85",
    "'; DROP TABLE messages; --",
    "100 % _under_ \\back",
]


SOMEBODY_ELSE_S: dict[str, Callable[[MessageStore, int], Awaitable[object]]] = {
    "session": lambda store, id: store.session("eve", id),
    "messages": lambda store, id: store.messages("eve", id),
    "history": lambda store, id: store.history("eve", id, max_chars=100),
    "sessions after it": lambda store, id: store.sessions("eve", before=id),
    "reply": lambda store, id: store.reply("eve", "s1"),
    "exchange": lambda store, id: store.exchange("eve", "s1"),
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


async def test_a_stream_nobody_has_is_not_found(store: MessageStore) -> None:
    await store.begin(question())

    for asked in (store.reply("local", "s1"), store.exchange("local", "s1")):
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


async def test_a_page_ends_where_its_messages_are_large(store: MessageStore) -> None:
    large = "x" * 1_000_000
    session = (await store.create_session("local", "")).id
    for _ in range(4):
        exchange = await store.begin(question(session, content="q"))
        calls = [ToolCall("1", "f", large)]
        await store.finish(answer(exchange, large, reasoning=large, tool_calls=calls))

    pages = [await store.messages("local", session, limit=1000)]
    while pages[-1]:
        pages.append(await store.messages("local", session, after=pages[-1][-1].id, limit=1000))

    assert [len(page) for page in pages] == [4, 4, 0]
    assert len(await store.messages("local", session, limit=1)) == 1


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


async def test_a_reader_that_gives_up_harms_nobody(store: MessageStore) -> None:
    exchange = await ask(store, "q", "a")
    await store.messages("local", exchange.session_id)  # connect first, so that the deadline hits the reading
    for moment in range(12):
        reading = asyncio.ensure_future(store.messages("local", exchange.session_id))
        for _ in range(moment):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])

    readers = [store.messages("local", exchange.session_id) for _ in range(20)]
    assert {len(messages) for messages in await asyncio.gather(*readers)} == {2}


async def test_history_goes_on_above_a_hundred_messages_without_text(store: MessageStore) -> None:
    session = (await ask(store, "a", "b")).session_id
    exchanges = [await store.begin(question(session, content="")) for _ in range(60)]
    await asyncio.gather(*(store.finish(answer(exchange, "")) for exchange in exchanges))

    _, history = await store.history("local", session, max_chars=10_000)

    assert [message.content for message in history] == ["a", "b"]


@pytest.mark.parametrize("code", ["model_refused", "context_length_exceeded", "unsupported_content"])
async def test_a_question_that_the_model_refused_is_no_history(store: MessageStore, code: str) -> None:
    session = (await ask(store, "a", "b")).session_id
    refused = await store.begin(question(session, content="an image"))
    error = StoredError(code, "Failed to load the image")
    await store.finish(answer(refused, "", status="failed", reason="upstream_error", error=error))
    stopped = await store.begin(question(session, content="stopped"))
    await store.finish(answer(stopped, "", status="cancelled", reason="user_stop"))

    _, history = await store.history("local", session, max_chars=10_000)

    assert [message.content for message in history] == ["a", "b", "stopped"]


async def test_a_refused_question_with_another_reply_is_history(store: MessageStore) -> None:
    refused = await store.begin(question(content="an image"))
    error = StoredError("model_refused", "Failed to load the image")
    await store.finish(answer(refused, "", status="failed", reason="upstream_error", error=error))
    spot = Spot(refused.user_message_id, refused.user_message_id)
    other = await store.begin(question(refused.session_id, content="an image", branch=spot))
    await store.finish(answer(other, "a cat"))

    _, history = await store.history("local", refused.session_id, max_chars=10_000)

    assert [message.content for message in history][-2:] == ["an image", "a cat"]
