"""The statements that read a session's history: to build and compile one takes longer than to run it."""

import asyncio
from pathlib import Path

from sqlalchemy import event

from tests.store.exchanges import ask
from tests.store.rigs import SqliteRig


async def test_the_statements_of_a_history_are_built_once(tmp_path: Path) -> None:
    run: list[object] = []
    async with asyncio.timeout(30), (store := SqliteRig(tmp_path).store()).running():
        exchanges = [await ask(store, "a", "b"), await ask(store, "", "")]
        event.listen(
            store._database.reading.sync_engine,  # type: ignore[attr-defined]
            "before_execute",
            lambda connection, statement, many, values, options: run.append(statement),
        )
        for exchange in exchanges:
            await store.history("local", exchange.session_id, max_chars=100)

    first, second = run[:2], run[2:4]
    assert [id(statement) for statement in first] == [id(statement) for statement in second]
