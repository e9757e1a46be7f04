"""The checks of files, disk space, open files and the clock, each with the thing broken."""

import asyncio
import errno
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.commands.doctor.clock import clock
from gateway.commands.doctor.database import database
from gateway.commands.doctor.disk_space import disk_space, free_on
from gateway.commands.doctor.files import AS_ITS_USER, files
from gateway.contract.errors import StorageFailed
from gateway.settings import Settings
from gateway.store.file_permissions import make_private
from tests.commands.doctor.clinic import database_in, doctor

NOBODY = 65_534


def unwritable_folder(tmp_path: Path) -> Path:
    """A folder in which this process cannot create files. Root ignores modes, but not /proc."""
    if os.geteuid() == 0:
        return Path("/proc")
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    return folder


def test_a_folder_without_the_right_to_create_files(tmp_path: Path) -> None:
    folder = unwritable_folder(tmp_path)
    seen = doctor(tmp_path, DATABASE_URL=database_in(folder))
    level, wrong, fix = seen.problem("files")
    assert (seen.code, level) == (2, "failure")
    assert f"no file can be created in {folder}" in wrong
    assert f"chmod u+rwx {folder}" in fix


def test_a_database_that_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "sluice.db")
    level, wrong, _ = doctor(tmp_path).problem("files")
    assert (level, wrong) == ("failure", f"DATABASE_URL: {tmp_path / 'sluice.db'} is no file")


@pytest.mark.parametrize(
    ("code", "fix"),
    [(errno.EROFS, "sudo mount -o remount,rw $(findmnt -no TARGET -T "), (errno.ENOSPC, "df -h ")],
)
def test_a_read_only_and_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, fix: str
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("gateway.commands.doctor.files.tempfile.TemporaryFile", refuse)
    level, wrong, to_type = doctor(tmp_path).problem("files")
    assert (level, os.strerror(code) in wrong) == ("failure", True)
    assert to_type.startswith(f"{fix}{tmp_path}")


def test_a_missing_folder_and_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    _, wrong, fix = doctor(tmp_path, DATABASE_URL=database_in(tmp_path / "none")).problem("files")
    assert (f"{tmp_path / 'none'} does not exist" in wrong, fix) == (True, f"mkdir -p {tmp_path / 'none'}")
    (tmp_path / "sluice.db").mkdir()
    _, wrong, _ = doctor(tmp_path).problem("files")
    assert wrong.endswith("sluice.db is a folder")


@contextmanager
def without_roots_rights() -> Iterator[None]:
    """Root ignores the modes of files: be another user during the block."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_a_read_only_folder_and_a_read_only_file_for_another_user_than_root() -> None:
    folder = Path(tempfile.mkdtemp(prefix="sluice-doctor-"))  # others cannot enter pytest's folders
    try:
        (folder / "sluice.db").touch(0o400)
        folder.chmod(0o555)
        settings = Settings(_env_file=None, database_url=database_in(folder))
        with without_roots_rights():
            in_folder, in_file = asyncio.run(files(settings))
    finally:
        shutil.rmtree(folder)
    assert (in_folder.level, in_file.level) == ("failure", "failure")
    assert f"no file can be created in {folder}" in in_folder.detail
    assert in_folder.detail.endswith("Permission denied")
    assert f"chmod u+rwx {folder}" in in_folder.fix
    assert f"{folder / 'sluice.db'} cannot be read and written" in in_file.detail
    assert in_file.fix.endswith(f"chmod 600 {folder / 'sluice.db'}")


def test_a_folder_that_only_the_gateways_user_may_enter() -> None:
    """As with the shipped systemd unit. The doctor does not run as that user."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-doctor-"))
    try:
        folder.chmod(0o000)
        settings = Settings(_env_file=None, database_url=database_in(folder))
        with without_roots_rights():
            found = [asyncio.run(check(settings))[0] for check in (files, database, disk_space)]
            with pytest.raises(StorageFailed, match=r"sluice.db cannot be created: Permission denied"):
                make_private(folder / "sluice.db")
    finally:
        folder.chmod(0o700)
        shutil.rmtree(folder)
    assert [one.level for one in found] == ["failure", "failure", "skipped"]
    assert f"has no access to {folder / 'sluice.db'}" in found[0].detail
    assert found[1].detail == f"{folder / 'sluice.db'} cannot be read: Permission denied."
    assert {one.fix for one in found[:2]} == {AS_ITS_USER}


def test_secrets_that_other_users_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    env = tmp_path / ".env"
    env.write_text("LLM_API_KEY=key-of-the-model\n")
    env.chmod(0o644)
    level, wrong, fix = doctor(tmp_path).problem("files")
    assert (level, fix) == ("warning", f"chmod 600 {env}")
    assert wrong == f"{env} contains a secret and other users can use it (mode 0644)"
    env.chmod(0o600)
    assert doctor(tmp_path).level("files") == "ok"


@pytest.mark.parametrize(
    ("free", "level", "word"),
    [
        (lambda _: (10 * 1024 * 1024, None), "failure", "10 MiB are free"),
        (lambda _: (500 * 1024 * 1024, None), "warning", "500 MiB are free"),
        (lambda _: (2**40, 3), "failure", "3 more files"),
        (lambda _: (2**40, None), "ok", "free"),
    ],
)
async def test_a_disk_that_is_nearly_full(
    tmp_path: Path, free: Callable[[Path], tuple[int, int | None]], level: str, word: str
) -> None:
    settings = Settings(_env_file=None, database_url=database_in(tmp_path))
    (found,) = await disk_space(settings, free)
    assert (found.level, word in found.detail, bool(found.fix)) == (level, True, level != "ok")


def test_the_free_space_is_the_file_systems(tmp_path: Path) -> None:
    assert free_on(tmp_path)[0] > 0


@pytest.mark.parametrize(
    ("year", "synchronised", "level", "word"),
    [
        (1970, True, "failure", "before this program was made"),
        (2099, True, "ok", "kept right"),
        (2099, False, "warning", "no time service"),
        (2099, None, "skipped", "does not report"),
    ],
)
async def test_a_wrong_clock(
    tmp_path: Path, year: int, synchronised: bool | None, level: str, word: str
) -> None:
    settings = Settings(_env_file=None, database_url=database_in(tmp_path))
    (found,) = await clock(settings, lambda: datetime(year, 1, 2, tzinfo=UTC), lambda: synchronised)
    assert (found.level, word in found.detail) == (level, True)


def under_limit(limit: int, held: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run doctor as a process that may have `limit` files open, of which `held` are taken."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(held)]
    environment = os.environ | {"DATABASE_URL": database_in(folder), "PORT": "0", "LLM_COMM_MODE": "sse"}
    try:
        return subprocess.run(
            [sys.executable, "-m", "gateway", "doctor"],
            env=environment | {"LLM_SERVER_URL": "http://127.0.0.1:9"},
            pass_fds=taken,
            preexec_fn=limited,
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        for descriptor in taken:
            os.close(descriptor)


def test_a_low_limit_of_open_files(tmp_path: Path) -> None:
    done = under_limit(200, 0, tmp_path)
    assert done.returncode == 2
    assert "failure  open files     at most 200 files and sockets may be open: too few" in done.stdout
    assert "LimitNOFILE=65536" in done.stdout
    assert "skipped  broker" in done.stdout
    assert done.stderr == ""


def test_a_full_table_of_open_files(tmp_path: Path) -> None:
    done = under_limit(64, 40, tmp_path)
    assert done.returncode == 2
    assert "nothing else can be checked" in done.stdout
    assert "LimitNOFILE=65536" in done.stdout
    assert done.stderr == ""
