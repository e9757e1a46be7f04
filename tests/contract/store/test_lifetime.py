"""Contract of message stores: start, close, and the data kept between two starts."""

import asyncio
import sys
from textwrap import dedent

import pytest

from gateway.contract.errors import StorageFailed
from tests.store.exchanges import question
from tests.store.rigs import SqlRig, StoreRig


async def test_leaving_first_commits_what_was_handed_over(rig: StoreRig) -> None:
    async with asyncio.timeout(30):
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
    async with asyncio.timeout(30):
        async with (store := rig.store()).running():
            await store.ping()
        with pytest.raises(StorageFailed):
            await store.begin(question())
        with pytest.raises(StorageFailed):
            await store.ping()


async def test_what_was_committed_survives_kill_9(sql_rig: SqlRig) -> None:
    child = dedent("""
        import asyncio, sys
        from gateway.contract.store import Checkpoint
        from gateway.core.access import OwnerAccess
        from gateway.store.sql_store import SqlStore
        from tests.store.exchanges import answer, question

        async def main():
            store = SqlStore(sys.argv[1], access=OwnerAccess())
            async with store.running():
                await store.finish(answer(await store.begin(question(stream_id="done")), "whole"))
                dead = await store.begin(question(stream_id="dead"))
                await store.checkpoint([Checkpoint(dead.assistant_message_id, "half", None)])
                print("kept", flush=True)
                await asyncio.Event().wait()

        asyncio.run(main())
    """)
    async with asyncio.timeout(30):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", child, sql_rig.url, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"kept\n"
        process.kill()
        await process.communicate()

        async with (store := sql_rig.store()).running():
            assert await store.sweep() == 1
            done, dead = await store.reply("local", "done"), await store.reply("local", "dead")
    assert (done.status, done.content) == ("complete", "whole")
    assert (dead.status, dead.content) == ("interrupted", "half")


async def test_a_secret_is_made_once_for_everybody_who_asks(rig: StoreRig) -> None:
    async with asyncio.timeout(30):
        async with (store := rig.store()).running():
            values = await asyncio.gather(*(store.secret("tickets") for _ in range(5)), store.secret("other"))
            assert await store.secret("tickets") == values[0]
        async with (again := rig.store()).running():
            assert await again.secret("tickets") == values[0]

    assert len(values[0]) == 32
    assert len(set(values[:5])) == 1
    assert values[5] != values[0]
