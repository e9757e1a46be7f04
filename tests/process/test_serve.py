"""The gateway's process, from its start to a signal."""

import asyncio
import gc
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.assembly import Assembled
from gateway.process.serve import listen, serve
from gateway.settings import Settings
from tests.store.migrated import migrated


@pytest.fixture
def collections_as_before() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("collections_as_before")
async def test_collections_leave_out_the_objects_of_the_start(tmp_path: Path) -> None:
    url = migrated(tmp_path / "gateway.db")
    model = "http://127.0.0.1:9"
    settings = Settings(_env_file=None, host="127.0.0.1", port=0, database_url=url, llm_server_url=model)
    left_out: list[bool] = []

    async def when_listening(_: Assembled) -> None:
        collected = {id(each) for each in gc.get_objects()}
        others = asyncio.all_tasks() - {asyncio.current_task()}
        left_out.extend(id(task) not in collected for task in others)
        signal.raise_signal(signal.SIGTERM)

    with listen(settings) as listener:
        async with asyncio.timeout(60):
            await serve(settings, listener, when_listening)

    assert left_out
    assert all(left_out)
