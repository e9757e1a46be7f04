"""A gateway of `sluice serve --workers`: it ends with its supervisor."""

import asyncio
import re
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


async def test_it_does_not_read_the_file_whose_settings_its_supervisor_passes_on(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=80000\nnonsense\n")
    settings = {"PORT": "0", "PROCESS_NUMBER": "1", "DATABASE_URL": migrated(tmp_path / "gateway.db")}
    async with (
        asyncio.timeout(120),
        running_program(*sluice("serve", "--supervised"), cwd=tmp_path, **settings) as program,
    ):
        await program.until_said(r".* listening on http://.*")


async def test_a_wrong_setting_of_the_processes_ends_the_supervisor(tmp_path: Path) -> None:
    settings = {"PORT": "0", "GATEWAY_NAME": "box", "DATABASE_URL": nowhere(tmp_path)}
    settings |= {"INTERNAL_URL": "http://192.0.2.1:800{n}", "ALLOW_OPEN": "1"}
    command = sluice("serve", "--workers", "2")
    async with asyncio.timeout(120), running_program(*command, cwd=tmp_path, **settings) as program:
        assert await program.ended() == 2
    assert "2 processes serve http://127.0.0.1:" in program.said
    assert re.search(
        r"INTERNAL_URL=http://192\.0\.2\.1:800[12] is not an address of this machine", program.said
    )
    assert "Traceback" not in program.said


async def test_a_database_that_is_away_at_a_restart_ends_no_other_process(tmp_path: Path) -> None:
    settings = {"PORT": "0", "HOST": "0.0.0.0", "DATABASE_URL": nowhere(tmp_path), "GATEWAY_NAME": "box"}
    command = sluice("serve", "--workers", "1", "--supervised")
    async with asyncio.timeout(120), running_program(*command, cwd=tmp_path, **settings) as program:
        assert await program.ended() == 3  # not 2: supervisors and service managers start it again
    assert "HOST=0.0.0.0 needs API keys, and they cannot be checked" in program.said
    assert "Traceback" not in program.said


def nowhere(folder: Path) -> str:
    """Return the URL of a PostgreSQL that is away."""
    return f"postgresql+asyncpg://sluice@/sluice?host={folder}"
