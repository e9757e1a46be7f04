"""The handle of a running reply: what is stored of it, and whether another gateway may get the reply."""

import asyncio
from pathlib import Path

import pytest

from gateway.contract.errors import StorageFailed
from gateway.contract.events import Delta
from gateway.contract.exchanges import Exchange
from gateway.contract.reattach import Handle
from tests.core.house import USER, house
from tests.core.test_adoption_stops import asked_of
from tests.core.town import Town


async def test_another_conversation_id_is_stored_in_place_of_the_handle(town: Town) -> None:
    """Its request may not have been sent yet: the reply is not left to another gateway."""
    async with town.gateway([Delta("Hel")], asyncio.Event().wait) as home, asyncio.TaskGroup() as tasks:
        checkpoints = tasks.create_task(home.checkpoints.run())
        run = await home.ask("Hi", resumable=True)
        wanted = await asked_of(home, run)
        wanted.keep_handle({"worker": "w1"})
        assert run.leave()
        stored = asyncio.get_running_loop().create_future()
        wanted.renew(stored.set_result)
        id = await stored
        assert id != wanted.conversation_id
        handle = town.kept_row().handle or {}
        assert handle.get("conversation_id") == id
        assert "worker" not in handle
        assert not run.leave()
        await home.runs.stop(run.stream_id, USER)
        checkpoints.cancel()


async def test_a_request_that_is_sent_again_does_not_wait_for_a_database_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> bool:
        raise StorageFailed("away")

    async with house(tmp_path, lambda _: [[Delta("Hel")], asyncio.Event().wait]) as home:
        checkpoints = asyncio.create_task(home.checkpoints.run())
        run = await home.ask("Hi", resumable=True)
        wanted = await asked_of(home, run)
        monkeypatch.setattr(home.store, "keep_handle", fail)
        stored = asyncio.get_running_loop().create_future()
        wanted.renew(stored.set_result)
        assert await stored != wanted.conversation_id
        await home.runs.stop(run.stream_id, USER)
        checkpoints.cancel()


async def test_a_request_waits_for_the_write_of_its_own_id(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for that of the handle before, which may still be going on."""
    writing, may_write = asyncio.Event(), asyncio.Event()
    async with town.gateway([Delta("Hel")], asyncio.Event().wait) as home, asyncio.TaskGroup() as tasks:
        checkpoints = tasks.create_task(home.checkpoints.run())
        run = await home.ask("Hi", resumable=True)
        wanted = await asked_of(home, run)
        keep = home.store.keep_handle
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        async def keep_slowly(exchange: Exchange, handle: Handle) -> bool:
            writing.set()
            await may_write.wait()
            return await keep(exchange, handle)

        def send(id: str) -> None:
            stored.set_result((town.kept_row().handle or {}).get("conversation_id") == id)

        monkeypatch.setattr(home.store, "keep_handle", keep_slowly)
        wanted.keep_handle({"worker": "w1"})
        await writing.wait()
        wanted.renew(send)
        may_write.set()
        assert await stored
        await home.runs.stop(run.stream_id, USER)
        checkpoints.cancel()
