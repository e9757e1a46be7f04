"""A gateway of `sluice serve --workers`: it ends with its supervisor."""

import asyncio
from pathlib import Path

import pytest

from tests.live.programs import running_program, sluice
from tests.store.migrated import migrated

pytestmark = pytest.mark.live


async def test_it_ends_when_its_supervisor_has_ended(tmp_path: Path) -> None:
    settings = {"PORT": "0", "PROCESS_NUMBER": "2", "GATEWAY_NAME": "box"}
    settings["DATABASE_URL"] = migrated(tmp_path / "gateway.db")
    async with (
        asyncio.timeout(120),
        running_program(*sluice("serve", "--supervised"), cwd=None, **settings) as program,
    ):
        line = await program.until_said(r".* listening on http://.*")
        assert "[box-2] listening" in line[0]
        assert program.process.stdin is not None
        program.process.stdin.close()
        assert await program.ended() == 0
    assert "draining" in program.said


async def test_a_wrong_setting_of_the_processes_ends_the_supervisor(tmp_path: Path) -> None:
    nowhere = f"postgresql+asyncpg://sluice@/sluice?host={tmp_path}"
    settings = {"PORT": "0", "HOST": "0.0.0.0", "DATABASE_URL": nowhere, "GATEWAY_NAME": "box"}
    command = sluice("serve", "--workers", "2")
    async with asyncio.timeout(120), running_program(*command, cwd=tmp_path, **settings) as program:
        assert await program.ended() == 2
    assert "2 processes serve http://0.0.0.0:" in program.said
    assert "HOST=0.0.0.0 needs API keys, and they cannot be checked" in program.said
    assert "Traceback" not in program.said
