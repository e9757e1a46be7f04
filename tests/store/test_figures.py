"""The panel's figures: their query plans in SQLite, and the migration of older databases."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import event

from gateway.contract.usage import UsedTokens
from tests.store.rigs import SqliteRig
from tests.store.test_migrations import migrating

EVER = (date(2000, 1, 1), date(2100, 1, 1))

SESSION = (
    "INSERT INTO sessions VALUES (7, 'u1', 'local-1', 'local', '', '', '2026-01-01', '2026-01-01', NULL)"
)
COUNTED = (
    "INSERT INTO messages (uuid, user_id, session_id, role, status, reason, created_at, content, model, "
    "prompt_tokens, completion_tokens, total_tokens) VALUES (hex(randomblob(8)), 'local', 7, "
    "'assistant', 'complete', 'stop', '2026-01-31 12:00:00.000000', '', 'tiny', ?, ?, ?)"
)
"""A reply with these token counts, in the first schemas."""


@pytest.fixture
def rig(tmp_path: Path) -> SqliteRig:
    return SqliteRig(tmp_path)


async def test_no_figure_reads_a_whole_table(rig: SqliteRig) -> None:
    said: list[tuple[str, object]] = []
    async with asyncio.timeout(30), (store := rig.store()).running():
        event.listen(
            store._database.reading.sync_engine,  # type: ignore[attr-defined]
            "before_cursor_execute",
            lambda connection, cursor, statement, parameters, context, many: said.append(
                (statement, parameters)
            ),
        )
        await store.usage.figures()
        await store.usage.between(*EVER, "anna")
    with closing(sqlite3.connect(rig.file)) as connection:
        plans = [
            str(row[3])
            for statement, parameters in said
            for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]
        ]
    large = [plan for plan in plans if any(table in plan for table in ("messages", "token_usage"))]
    assert large
    assert [plan for plan in large if not plan.startswith("SEARCH")] == []


async def test_a_database_from_before_is_counted_once(rig: SqliteRig) -> None:
    reply = (
        "INSERT INTO messages (uuid, user_id, session_id, role, status, reason, created_at, content, model, "
        "prompt_tokens, completion_tokens, total_tokens, tool_calls) VALUES ('', ?, 1, ?, ?, ?, ?, '', ?, "
        "?, ?, ?, ?)"
    )
    call = '[{"id": "c1", "name": "f", "arguments": ""}]'
    day = "2026-01-31 23:59:59.999999"
    rows = [
        ("local", "user", "complete", None, day, None, None, None, None, None),
        ("local", "assistant", "complete", "stop", day, "tiny", 1, 2, 3, call),
        ("local", "assistant", "cancelled", "user_stop", day, "tiny", None, None, None, None),
        ("local", "assistant", "interrupted", "interrupted", day, None, None, None, None, None),
        ("local", "assistant", "streaming", None, day, None, None, None, None, None),
        ("anna", "assistant", "complete", "stop", "2026-02-01 00:00:00.000000", None, 4, 5, 9, None),
    ]
    with migrating(rig) as (connection, config):
        command.upgrade(config, "0005")
        connection.exec_driver_sql(SESSION)
        for row in [*rows, rows[0]]:
            connection.exec_driver_sql(reply.replace("'', ?, 1", "hex(randomblob(8)), ?, 7"), row)
        connection.exec_driver_sql("DELETE FROM messages WHERE id = 7")

    async with asyncio.timeout(30), (store := rig.store()).running():
        used = await store.usage.between(*EVER, None)
        told = await store.usage.figures()
    assert used == [
        UsedTokens(date(2026, 1, 31), "local", "tiny", 2, 1, 2, 3),
        UsedTokens(date(2026, 2, 1), "anna", None, 1, 4, 5, 9),
    ]
    assert (told.messages, told.sessions) == (6, 1)


@pytest.mark.parametrize("claimed", [2**53 - 1, 2**63 - 1])
async def test_a_database_that_believed_absurd_counts_is_mended(rig: SqliteRig, claimed: int) -> None:
    with migrating(rig) as (connection, config):
        command.upgrade(config, "0006")
        connection.exec_driver_sql(SESSION)
        for counts in [(1, 2, 3), (claimed,) * 3, (claimed,) * 3, (4, 5, 9)]:
            connection.exec_driver_sql(COUNTED, counts)
        connection.exec_driver_sql(
            "INSERT INTO token_usage VALUES ('local', '2026-01-31', 'tiny', 4, 0, 0.0 + ? * 2.0, 7, ?)",
            (claimed, claimed),
        )
        sane = "INSERT INTO token_usage VALUES ('anna', '2026-01-31', '', 1, 0, 4, 5, 9)"
        connection.exec_driver_sql(sane)

    async with asyncio.timeout(30), (store := rig.store()).running():
        assert await store.usage.between(*EVER, None) == [
            UsedTokens(date(2026, 1, 31), "anna", None, 1, 4, 5, 9),
            UsedTokens(date(2026, 1, 31), "local", "tiny", 4, 5, 7, 12),
        ]
        usages = [message.usage for message in await store.messages("local", 7)]
    assert [usage and usage.total_tokens for usage in usages] == [3, None, None, 9]


@pytest.mark.parametrize("claimed", [2**53 - 1, 2**63 - 1])
async def test_absurd_counts_from_before_usage_was_counted_are_no_usage(rig: SqliteRig, claimed: int) -> None:
    with migrating(rig) as (connection, config):
        command.upgrade(config, "0005")
        connection.exec_driver_sql(SESSION)
        for counts in [(1, 2, 3), (claimed,) * 3, (claimed,) * 3, (claimed, 1, 1), (4, 5, 9)]:
            connection.exec_driver_sql(COUNTED, counts)

    async with asyncio.timeout(30), (store := rig.store()).running():
        used = await store.usage.between(*EVER, None)
    assert used == [UsedTokens(date(2026, 1, 31), "local", "tiny", 5, 5, 7, 12)]


async def test_a_sum_beyond_64_bits_is_still_a_whole_number(rig: SqliteRig) -> None:
    async with asyncio.timeout(30), (store := rig.store()).running():
        with closing(sqlite3.connect(rig.file)) as connection, connection:
            connection.execute("INSERT INTO token_usage VALUES ('a', '2026-01-31', '', 1, 0, 1e30, -1, 3)")
        (used,) = await store.usage.between(*EVER, None)
    assert (used.prompt_tokens, used.completion_tokens, used.total_tokens) == (2**53 - 1, 0, 3)
