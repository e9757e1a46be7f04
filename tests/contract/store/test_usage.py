"""Contract of stores: usage is counted with a reply's last state, once, and never subtracted."""

from datetime import date, timedelta

from gateway.contract.events import ToolCall, Usage
from gateway.contract.exchanges import Exchange, FinalReply
from gateway.contract.record import replace
from gateway.contract.store import MessageStore
from gateway.contract.usage import Figures, UsedTokens
from gateway.store.sql_store import SqlStore
from tests.store.exchanges import answer, question
from tests.store.rigs import SqlRig

FIRST = date(2026, 1, 1)
"""The day at which the rig's clock starts."""

ALWAYS = (date(2000, 1, 1), date(2100, 1, 1))
TOKENS = Usage(10, 5, 15, tokens_per_s=50.0)


async def replied(store: MessageStore, user_id: str = "anna", **said: object) -> tuple[Exchange, FinalReply]:
    exchange = await store.begin(question(user_id=user_id))
    reply = answer(exchange, **{"model": "tiny", "usage": TOKENS, **said})  # type: ignore[arg-type]
    assert await store.finish(reply)
    return exchange, reply


async def test_usage_is_told_by_day_user_and_model(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        for user_id, model in (("ben", "tiny"), ("anna", "tiny"), ("anna", "tiny"), ("anna", "big")):
            await replied(store, user_id, model=model)
        sql_rig.later(timedelta(days=1))
        await replied(store)
        annas = await store.usage.between(*ALWAYS, "anna")
        everybodys = await store.usage.between(*ALWAYS, None)
    assert annas == [
        UsedTokens(FIRST, "anna", "big", 1, 10, 5, 15),
        UsedTokens(FIRST, "anna", "tiny", 2, 20, 10, 30),
        UsedTokens(FIRST + timedelta(days=1), "anna", "tiny", 1, 10, 5, 15),
    ]
    assert everybodys == [*annas[:2], UsedTokens(FIRST, "ben", "tiny", 1, 10, 5, 15), annas[2]]


async def test_usage_is_told_in_pages(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        for user_id, model in (("ben", "tiny"), ("anna", None), ("anna", "tiny"), ("anna", "big")):
            await replied(store, user_id, model=model)
        sql_rig.later(timedelta(days=1))
        await replied(store, model=None)
        for whose in ("anna", None):
            everything = await store.usage.between(*ALWAYS, whose)
            pages = [await store.usage.between(*ALWAYS, whose, limit=2)]
            while pages[-1]:
                pages.append(await store.usage.between(*ALWAYS, whose, after=pages[-1][-1], limit=2))
            assert [used for page in pages for used in page] == everything
            assert max(map(len, pages)) == 2


async def test_both_days_of_a_time_are_in_it(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        for _ in range(4):
            await replied(store)
            sql_rig.later(timedelta(days=1))
        second, third = FIRST + timedelta(days=1), FIRST + timedelta(days=2)
        assert [used.day for used in await store.usage.between(second, third, "anna")] == [second, third]
        assert await store.usage.between(third, second, "anna") == []


async def test_a_reply_that_nobody_counted_is_a_reply_without_tokens(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        await replied(store, usage=None, model=None, status="failed", reason="timeout")
        assert await store.usage.between(*ALWAYS, "anna") == [UsedTokens(FIRST, "anna", None, 1, 0, 0, 0)]


async def test_a_paced_reply_that_is_cancelled_is_not_counted_twice(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        _, reply = await replied(store)
        assert await store.finish(replace(reply, status="cancelled", reason="user_stop", over="complete"))
        assert not await store.finish(reply)
        assert await store.usage.between(*ALWAYS, "anna") == [UsedTokens(FIRST, "anna", "tiny", 1, 10, 5, 15)]


async def test_deleting_a_session_takes_its_messages_from_the_figures_but_not_its_usage(
    sql_rig: SqlRig,
) -> None:
    async with (store := sql_rig.store()).running():
        exchange, _ = await replied(store, tool_calls=[ToolCall("c", "f", "{}")])
        await replied(store)
        before, used = await store.usage.figures(), await store.usage.between(*ALWAYS, None)
        await store.delete_session("anna", exchange.session_id)
        after = await store.usage.figures()
        assert await store.usage.between(*ALWAYS, None) == used
    assert (before.messages, before.sessions) == (4, 2)
    assert (after.messages, after.sessions) == (2, 1)
    assert (after.replies_today, after.tool_calls_today) == (2, 1)


async def test_what_is_counted_is_what_is_there_after_a_restart_too(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        for _ in range(3):
            exchange, _ = await replied(store)
        await store.delete_session("anna", exchange.session_id)
        await store.create_session("anna", "")
        told = await store.usage.figures()
    async with (store := sql_rig.store()).running():
        assert counts_of(await store.usage.figures()) == counts_of(told) == (4, 3, 3)


async def test_an_empty_house_has_figures_of_nothing(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        told = await store.usage.figures()
    assert replace(told, database_bytes=0) == Figures(0, 0, 0, 0, 0, 0.0, 0.0, 0.0)
    assert told.database_bytes > 0


async def test_means_are_those_of_the_latest_hundred_complete_replies(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        await replied(store, response_ms=1e6, ttft_ms=1e6)
        for number in range(100):
            await replied(store, response_ms=100.0 + number % 2, ttft_ms=10.0)
        await replied(store, response_ms=1e6, ttft_ms=1e6, status="failed", reason="timeout")
        told = await store.usage.figures()
    assert (told.response_ms, told.ttft_ms, told.tokens_per_s) == (100.5, 10.0, 50.0)


async def test_what_no_reply_has_is_left_out_of_a_mean(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        await replied(store, ttft_ms=None, usage=None)
        await replied(store, ttft_ms=30.0)
        told = await store.usage.figures()
    assert (told.ttft_ms, told.tokens_per_s, told.response_ms) == (30.0, 50.0, 0.0)


async def test_the_size_is_known_and_each_commit_counts_once(sql_rig: SqlRig) -> None:
    async with (store := sql_rig.store()).running():
        before = store.usage.writes()
        await replied(store)
        after = store.usage.writes()
        assert await store.usage.database_bytes() > 0
    assert after.waiting == 0
    assert after.committed - before.committed == 2  # the question and the reply
    assert after.waited_s >= before.waited_s


def counts_of(figures: Figures) -> tuple[int, int, int]:
    return figures.messages, figures.sessions, figures.replies_today


async def test_a_model_may_be_called_anything(sql_store: SqlStore) -> None:
    await replied(sql_store, model="nul \0 and \ud800")
    (used,) = await sql_store.usage.between(*ALWAYS, "anna")
    assert used.model == "nul \ufffd and \ufffd"
