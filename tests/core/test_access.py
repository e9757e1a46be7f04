"""Replies in the making ask Access who may follow and who may stop them."""

import asyncio
from pathlib import Path

import pytest

from gateway.contract.errors import NotFound
from gateway.contract.events import Delta
from gateway.core.access import OwnerAccess
from tests.core.house import USER, house


class Watched(OwnerAccess):
    """Ben may see what is not his, but not write into it."""

    def may_see(self, user_id: str, owner: str, session_id: int) -> bool:
        return user_id == "ben" or super().may_see(user_id, owner, session_id)


async def test_a_reply_is_followed_by_those_who_may_see_it_and_stopped_by_those_who_may_write(
    tmp_path: Path,
) -> None:
    held = asyncio.Event()
    async with house(tmp_path, lambda _: [[Delta("Hel")], held.wait], access=Watched()) as home:
        run = await home.ask("Hi")
        with home.runs.following(run):
            assert home.runs.find(run.stream_id, "ben") is run
            with pytest.raises(NotFound):
                home.runs.find(run.stream_id, "carl")
            for stranger in ("ben", "carl"):
                with pytest.raises(NotFound):
                    await home.runs.stop(run.stream_id, stranger)
            assert not run.is_settled()
            outcome = await home.runs.stop(run.stream_id, USER)
    assert outcome.reason == "user_stop"
