"""A backup of a database in use is whole, and can be restored."""

import asyncio
import os
import shutil
import stat
from pathlib import Path

import pytest

from gateway.contract.errors import StorageFailed
from gateway.store.backup import back_up
from tests.store.exchanges import ask
from tests.store.faults import full_disk
from tests.store.postgres import PROGRAMS, PostgresServer, requires_postgres
from tests.store.rigs import PostgresRig, SqliteRig, SqlRig


@pytest.fixture
def sqlite_rig(tmp_path: Path) -> SqliteRig:
    return SqliteRig(tmp_path)


def size_of(file: Path) -> int:
    return file.stat().st_size


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


async def back_up_in_use(rig: SqlRig, target: Path) -> list[int]:
    """Back the database up while questions are asked, and return the ids of those that were stored before."""
    async with asyncio.timeout(30), (store := rig.store()).running():
        before = [(await ask(store, f"q{number}", "a")).session_id for number in range(20)]
        backing_up = asyncio.ensure_future(back_up(rig.url, target))
        while not backing_up.done():
            await ask(store, "meanwhile", "a")
        assert await backing_up == size_of(target)
        await ask(store, "afterwards", "a")
    return before


async def check_restored(rig: SqlRig, before: list[int]) -> None:
    async with asyncio.timeout(30), (store := rig.store()).running():
        sessions = await store.sessions("local", limit=10_000)
        assert {session.id for session in sessions} >= set(before)
        contents = {(await store.messages("local", session.id))[0].content for session in sessions}
        assert {f"q{number}" for number in range(20)} <= contents
        assert "afterwards" not in contents
        for session in sessions:
            assert len(await store.messages("local", session.id)) == 2
        await ask(store, "life goes on", "a")


async def test_a_copy_of_a_file_in_use_is_a_database(sqlite_rig: SqliteRig, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    before = await back_up_in_use(sqlite_rig, target)

    assert mode_of(target) == 0o600
    assert copies(tmp_path) == ["copy.db"]
    restored = SqliteRig(tmp_path / "elsewhere")
    restored.file.parent.mkdir()
    shutil.copy(target, restored.file)
    await check_restored(restored, before)


@pytest.fixture
def client_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}")


def copies(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("copy*"))


@pytest.mark.live
@requires_postgres()
@pytest.mark.usefixtures("client_programs")
async def test_a_dump_of_postgresql_in_use_is_restored_by_pg_restore(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    target = tmp_path / "sluice.dump"
    before = await back_up_in_use(PostgresRig(postgres.emptied()), target)

    restored = PostgresRig(postgres.database())
    dsn = restored.url.replace("+asyncpg", "")
    restore = ["pg_restore", "--no-owner", "--exit-on-error", "--dbname", dsn, str(target)]
    process = await asyncio.create_subprocess_exec(*restore)
    assert await process.wait() == 0
    await check_restored(restored, before)


async def test_a_file_that_exists_is_not_overwritten(sqlite_rig: SqliteRig, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")
    async with asyncio.timeout(30), sqlite_rig.store().running():
        with pytest.raises(StorageFailed, match="exists: name a new file"):
            await back_up(sqlite_rig.url, target)
    assert target.read_text() == "precious"


@pytest.mark.parametrize(
    ("url", "target", "said"),
    [
        ("sqlite+aiosqlite:///{folder}/no.db", "copy.db", "There is no database .*no.db"),
        ("sqlite+aiosqlite:///{folder}/sluice.db", "no/copy.db", "cannot be created: No such file"),
        (
            "postgresql+asyncpg://u:hunter2@127.0.0.1:1/db",
            "copy.dump",
            "The backup failed: pg_dump: .*refused",
        ),
    ],
)
@pytest.mark.usefixtures("client_programs")
async def test_a_backup_that_fails_says_why_and_leaves_no_file(
    sqlite_rig: SqliteRig, tmp_path: Path, url: str, target: str, said: str
) -> None:
    if PROGRAMS is None and url.startswith("postgresql"):
        said = "pg_dump is not installed"
    async with asyncio.timeout(30), sqlite_rig.store().running():
        with pytest.raises(StorageFailed, match=said) as failed:
            await back_up(url.format(folder=tmp_path), tmp_path / target)
    assert "hunter2" not in str(failed.value)
    assert copies(tmp_path) == []


async def test_a_full_disk_leaves_no_file(sqlite_rig: SqliteRig, tmp_path: Path) -> None:
    async with asyncio.timeout(30), (store := sqlite_rig.store()).running():
        await ask(store, "q", "a")
        with full_disk(sqlite_rig.file), pytest.raises(StorageFailed, match="The backup failed"):
            await back_up(sqlite_rig.url, tmp_path / "copy.db")
        assert copies(tmp_path) == []
        await ask(store, "q", "a")


async def test_without_pg_dump_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StorageFailed, match="postgresql-client"):
        await back_up("postgresql+asyncpg://host/db", tmp_path / "copy")
    assert copies(tmp_path) == []


async def test_the_rest_of_a_killed_backup_is_named_with_what_to_do(tmp_path: Path) -> None:
    rest = tmp_path / "copy.db.part"
    rest.write_text("half")
    with pytest.raises(StorageFailed, match=r"one was killed; then remove .*copy\.db\.part\*\.$"):
        await back_up(f"sqlite+aiosqlite:///{tmp_path / 'sluice.db'}", tmp_path / "copy.db")
    assert rest.read_text() == "half"
