"""Rows whose handle is no JSON object: the gateway starts, and takes over the others too."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import and_, false

from gateway.store import adoption
from tests.store.exchanges import question
from tests.store.postgres import SHARED, PostgresServer, requires_postgres
from tests.store.rigs import PostgresRig, SqliteRig

GOOD = {"conversation_id": "c"}
CHANGE = "UPDATE messages SET handle = ? WHERE stream_id = 'strange'"
JSON = ["[1]", '"x"', "7", "true", "null"]


async def adopted(rig: SqliteRig | PostgresRig, handle: str, postgres: PostgresServer | None = None) -> None:
    async with asyncio.timeout(60):
        async with (dead := rig.store()).running():
            for stream_id in ("strange", "good"):
                await dead.begin(question(stream_id=stream_id, handle=GOOD))
        if isinstance(rig, SqliteRig):
            with closing(sqlite3.connect(rig.file, isolation_level=None)) as connection:
                connection.execute(CHANGE, (handle,))
        else:
            assert postgres is not None
            postgres.sql(CHANGE.replace("?", f"'{handle}'"), SHARED)
        async with (heir := rig.store()).running():
            taken = await heir.adopt(None)
    assert {reply.message.stream_id: reply.handle for reply in taken.replies} == {"strange": {}, "good": GOOD}


@pytest.mark.parametrize("handle", [*JSON, "{rubbish", "", '{"a":' * 5000], ids=lambda handle: handle[:10])
async def test_in_sqlite(tmp_path: Path, handle: str) -> None:
    rig = SqliteRig(tmp_path)
    await adopted(rig, handle)


async def test_a_reply_without_one_that_was_locked_when_the_others_were_interrupted_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, real = SqliteRig(tmp_path), adoption._interrupt
    async with (dead := rig.store()).running():
        for stream_id, handle in (("without", None), ("good", GOOD)):
            await dead.begin(question(stream_id=stream_id, handle=handle))
    async with (heir := rig.store()).running():
        monkeypatch.setattr(adoption, "_interrupt", lambda whose: real(and_(whose, false())))
        first = await heir.adopt(None)
        monkeypatch.setattr(adoption, "_interrupt", real)
        second = await heir.adopt(None)
    assert [reply.message.stream_id for reply in first.replies] == ["good"]
    assert [left.stream_id for left in second.interrupted] == ["without"]


@pytest.mark.live
@requires_postgres()
@pytest.mark.parametrize("handle", JSON)
async def test_in_postgresql(postgres: PostgresServer, handle: str) -> None:
    await adopted(PostgresRig(postgres.emptied()), handle, postgres)
