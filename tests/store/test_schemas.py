"""Two clusters on one PostgreSQL database: each has a schema of its own."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.contract.errors import NotFound
from gateway.store.backup import back_up
from gateway.store.engine import open_database
from gateway.store.maintenance import upgrade_database
from gateway.store.schema_migration import HEAD
from tests.contract.test_signals import Heard
from tests.store.exchanges import ask, question
from tests.store.postgres import PostgresServer, requires_postgres
from tests.store.rigs import PostgresRig

pytestmark = [pytest.mark.live, requires_postgres()]


async def in_schemas(postgres: PostgresServer) -> tuple[PostgresRig, PostgresRig]:
    url = postgres.database()
    rigs = PostgresRig(f"{url}&schema=east"), PostgresRig(f"{url}&schema=west_2")
    for rig in rigs:
        assert (await upgrade_database(open_database(rig.url, "NORMAL")))[1] == HEAD
    return rigs


async def test_clusters_in_two_schemas_share_nothing(postgres: PostgresServer) -> None:
    east, west = await in_schemas(postgres)
    async with asyncio.timeout(120), AsyncExitStack() as stack:
        a, b = east.store(owner="a/1"), west.store(owner="b/1")
        for store in (a, b):
            await stack.enter_async_context(store.running())
        gateways = [store.membership.gateways for store in (a, b)]
        assert gateways[0] is not None
        assert gateways[1] is not None
        await b.begin(question(stream_id="s"))

        assert [(await each.renew()).others for each in gateways if each] == [[], []]
        assert await gateways[0].dead(0) == []
        with pytest.raises(NotFound):
            await a.reply("local", "s")
        assert await a.secret("tickets") != await b.secret("tickets")

        a.membership.signals.on("topic", heard := Heard())
        body = """'{"from": "", "topic": "topic", "body": {"in": "' || name || '"}}'"""
        names = "unnest(ARRAY['public', 'west_2', 'east']) AS name"
        database = west.url.partition("@/")[2].partition("?")[0]
        postgres.sql(f"SELECT pg_notify('sluice/' || name, {body}) FROM {names}", database)  # noqa: S608
        assert await heard.next() == {"in": "east"}


async def test_a_backup_has_the_tables_of_its_schema(postgres: PostgresServer, tmp_path: Path) -> None:
    east, _ = await in_schemas(postgres)
    async with asyncio.timeout(120), (store := east.store()).running():
        await ask(store, "kept", "a")
        await back_up(east.url, tmp_path / "copy")

    listed = await asyncio.create_subprocess_exec(
        "pg_restore", "--list", str(tmp_path / "copy"), stdout=asyncio.subprocess.PIPE
    )
    told = (await listed.communicate())[0].decode()
    assert "TABLE DATA east messages" in told
    assert "west_2" not in told


@pytest.mark.parametrize("schema", ["East", "1st", "a-b", "x" * 51, 'a";--', "pg_temp", "information_schema"])
def test_a_schema_that_is_no_simple_name_is_refused(schema: str) -> None:
    with pytest.raises(ValueError, match="its schema must be at most 50"):
        open_database(f"postgresql+asyncpg://host/db?schema={schema}", "NORMAL")
