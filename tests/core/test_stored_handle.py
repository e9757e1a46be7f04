"""The handle of a running reply: what is stored of it, and whether the reply can be left to another gateway."""

import asyncio

from gateway.contract.events import Delta
from tests.core.house import USER
from tests.core.test_adoption_stops import asked_of
from tests.core.town import Town
from tests.live.looking import look_again


async def test_another_conversation_id_is_stored_in_place_of_the_handle(town: Town) -> None:
    """Its request may not have been sent yet: the reply is not left to another gateway."""
    async with town.gateway([Delta("Hel")], asyncio.Event().wait) as home, asyncio.TaskGroup() as tasks:
        checkpoints = tasks.create_task(home.checkpoints.run())
        run = await home.ask("Hi", resumable=True)
        wanted = await asked_of(home, run)
        wanted.keep_handle({"worker": "w1"})
        assert run.leave()
        id = wanted.new_id()
        assert id != wanted.conversation_id
        while (handle := town.kept_row().handle or {}).get("conversation_id") != id:
            await look_again()
        assert "worker" not in handle
        assert not run.leave()
        await home.runs.stop(run.stream_id, USER)
        checkpoints.cancel()
