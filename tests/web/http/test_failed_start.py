"""A start that fails says why in one line, and says it once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.errors import StorageFailed
from gateway.web.app import create_app
from gateway.web.door.open_mode import OpenMode
from gateway.web.door.proxies import TrustedProxies
from tests.web.gateway_server import served


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("No database:", "No database: the disk is full"),
        ("No database: the disk is full.", "No database: the disk is full."),
    ],
)
async def test_the_reason_is_told_once(tmp_path: Path, message: str, told: str) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        raise StorageFailed(message) from OSError("the disk is full\nat line 7")
        yield

    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(event: Any) -> None:
        sent.append(event)

    async with served(tmp_path, lambda _: []) as gateway:
        app = create_app(
            gateway.assembled.gateway,
            lifespan,
            open_mode=OpenMode((), (), TrustedProxies()),
            proxies=TrustedProxies(),
        )
        await app({"type": "lifespan"}, receive, send)
    assert sent == [{"type": "lifespan.startup.failed", "message": told}]


async def test_a_start_that_fails_is_an_error_of_its_test_alone(tmp_path: Path) -> None:
    nowhere = f"sqlite+aiosqlite:///{tmp_path / 'nowhere' / 'sluice.db'}"
    with pytest.raises(ExceptionGroup) as failed:
        async with served(tmp_path, lambda _: [], database_url=nowhere):
            raise AssertionError("it started")
    assert failed.group_contains(AssertionError, match="the gateway did not start: it exits with 3")
