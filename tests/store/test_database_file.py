"""The files of a SQLite database: one gateway for each, for the eyes of its user only."""

import asyncio
import os
import stat
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from textwrap import dedent

import pytest

from gateway.contract.errors import StorageFailed
from gateway.core.access import OwnerAccess
from gateway.store import lock
from gateway.store.sql_store import SqlStore
from tests.store.exchanges import ask, question
from tests.store.faults import moved_away
from tests.store.rigs import SqliteRig


@pytest.fixture
def rig(tmp_path: Path) -> SqliteRig:
    return SqliteRig(tmp_path)


@pytest.fixture
async def store(rig: SqliteRig) -> AsyncIterator[SqlStore]:
    async with asyncio.timeout(30), (store := rig.store()).running():
        yield store


@pytest.mark.parametrize("kind", ["a folder", "no file"])
async def test_other_things_than_files_are_refused_and_keep_their_mode(tmp_path: Path, kind: str) -> None:
    there = tmp_path / "there"
    there.mkdir(0o755) if kind == "a folder" else os.mkfifo(there, 0o666)
    before = there.stat().st_mode
    with pytest.raises(StorageFailed, match=f"there is {kind}"):
        async with (
            asyncio.timeout(30),
            SqlStore(f"sqlite+aiosqlite:///{there}", access=OwnerAccess()).running(),
        ):
            pass
    assert there.stat().st_mode == before


async def open_elsewhere(file: Path, *, alone: bool = True) -> str:
    """Open the file as another process; empty if that works, else the reason."""
    child = dedent("""
        import asyncio, sys
        from gateway.contract.errors import StorageFailed
        from gateway.core.access import OwnerAccess
        from gateway.store.sql_store import SqlStore
        from tests.store.exchanges import question

        async def main():
            try:
                store = SqlStore(sys.argv[1], access=OwnerAccess())
                async with store.running(alone=sys.argv[2] == "alone"):
                    await store.create_session("local", "from elsewhere")
            except* StorageFailed as failures:
                print(failures.exceptions[0], end="")

        asyncio.run(main())
    """)
    url = f"sqlite+aiosqlite:///{file}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", child, url, "alone" if alone else "beside", stdout=PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


def by_its_name(file: Path) -> Path:
    return file


def by_its_name_without_a_lock_file(file: Path) -> Path:
    file.with_name(f"{file.name}.lock").unlink(missing_ok=True)
    return file


def by_a_symbolic_link(file: Path) -> Path:
    (link := file.with_name("symbolic.db")).symlink_to(file)
    return link


def by_a_hard_link(file: Path) -> Path:
    (link := file.with_name("hard.db")).hardlink_to(file)
    return link


NAMES = (by_its_name, by_its_name_without_a_lock_file, by_a_symbolic_link, by_a_hard_link)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.__name__)
async def test_a_second_gateway_is_refused_and_told_who_holds_the_file(
    rig: SqliteRig, store: SqlStore, name: Callable[[Path], Path]
) -> None:
    exchange = await store.begin(question(stream_id="alive"))
    file = name(rig.file)

    refused = await open_elsewhere(file)

    assert refused == f"{file} is in use by another gateway (process {os.getpid()})."
    assert (await store.messages("local", exchange.session_id))[1].status == "streaming"


async def test_a_file_with_two_names_is_told_of_at_the_start(
    rig: SqliteRig, caplog: pytest.LogCaptureFixture
) -> None:
    async with asyncio.timeout(30):
        async with rig.store().running():
            assert "names" not in caplog.text
        by_a_hard_link(rig.file)
        async with rig.store().running():
            assert f"{rig.file} has 2 names (hard links)" in caplog.text


async def test_a_command_may_work_beside_a_gateway_and_leaves_its_lock(
    rig: SqliteRig, store: SqlStore
) -> None:
    assert await open_elsewhere(rig.file, alone=False) == ""
    assert [session.title for session in await store.sessions("local")] == ["from elsewhere"]
    assert "in use by another" in await open_elsewhere(rig.file)


async def test_a_refusal_in_the_same_process_leaves_the_lock(rig: SqliteRig, store: SqlStore) -> None:
    with pytest.raises(StorageFailed, match="in use by another"):
        async with rig.store().running():
            pass
    assert "in use by another" in await open_elsewhere(rig.file)


async def test_a_file_that_took_the_name_may_have_a_gateway_of_its_own(
    rig: SqliteRig, store: SqlStore
) -> None:
    with moved_away(rig.file):
        assert await open_elsewhere(rig.file) == ""
        with pytest.raises(StorageFailed):
            await store.begin(question())
    await ask(store, "q", "a")


async def test_without_locks_of_open_files_a_lock_file_serves(
    rig: SqliteRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("fcntl.F_OFD_SETLK")
    async with asyncio.timeout(30), rig.store().running():
        lock._held.clear()  # as in another process
        with pytest.raises(StorageFailed, match=rf"sluice\.db is in use by another .*{os.getpid()}"):
            async with rig.store().running():
                pass


def modes(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


def let_others_read(folder: Path) -> None:
    (folder / "sluice.db.lock").touch()
    for file in folder.iterdir():
        file.chmod(0o644)


@pytest.mark.parametrize("alone", [True, False])
async def test_a_new_database_is_for_its_user_only(rig: SqliteRig, tmp_path: Path, alone: bool) -> None:
    before = os.umask(0)
    try:
        async with asyncio.timeout(30), (store := rig.store()).running(alone=alone):
            await store.create_session("local", "")
            found = modes(tmp_path)
    finally:
        os.umask(before)
    assert found == dict.fromkeys(["sluice.db", "sluice.db-wal", "sluice.db-shm"], 0o600)


async def test_files_that_others_could_read_are_mended_at_the_start_and_named(
    rig: SqliteRig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with asyncio.timeout(30):
        async with (store := rig.store()).running():
            await store.create_session("local", "")
            let_others_read(tmp_path)
            async with rig.store().running(alone=False):
                found = modes(tmp_path)
    assert set(found.values()) == {0o600}
    for name in ("sluice.db", "sluice.db-wal", "sluice.db-shm", "sluice.db.lock"):
        assert f"{tmp_path / name} could be used by other users" in caplog.text


async def test_a_mode_that_cannot_be_changed_is_an_error_with_a_remedy_and_no_obstacle(
    rig: SqliteRig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rig.file.touch(0o644)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    async with asyncio.timeout(30), (store := rig.store()).running():
        await store.ping()
    assert f"Run: chmod 600 {rig.file}" in caplog.text


async def test_a_name_with_signs_of_a_url_is_a_plain_file(tmp_path: Path) -> None:
    file = tmp_path / "a b#c.db"
    store = SqlStore(f"sqlite+aiosqlite:///{file}", access=OwnerAccess())
    async with asyncio.timeout(30), store.running():
        await store.create_session("local", "")
    assert set(modes(tmp_path)) == {file.name}
