"""deploy/mosquitto/make_passwords.sh, with a program in place of mosquitto_passwd, which may be missing."""

import os
import re
import subprocess
from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy"
SCRIPT = DEPLOY / "mosquitto/make_passwords.sh"


def made(folder: Path, *names: str) -> str:
    """Run the script. Return the arguments of mosquitto_passwd, which every user of a machine can see."""
    seen, program = folder / "arguments", folder / "bin/mosquitto_passwd"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\necho "$@" >>"{seen}"\n')
    program.chmod(0o700)
    path = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    subprocess.run(["/bin/sh", SCRIPT, folder, *names], env=path, check=True)
    return seen.read_text()


def test_no_password_is_an_argument_of_a_program(tmp_path: Path) -> None:
    arguments = made(tmp_path, "gateway", "w.1")
    assert len(arguments.splitlines()) == 2
    for name in ("gateway", "w.1"):
        assert (tmp_path / f"{name}.password").read_text() not in arguments


def test_a_removed_password_is_made_anew_in_the_place_of_the_old_one(tmp_path: Path) -> None:
    made(tmp_path, "w.1", "wx1")
    (tmp_path / "w.1.password").unlink()
    made(tmp_path, "w.1")
    lines = (tmp_path / "passwd").read_text().splitlines()
    assert sorted(lines) == [
        f"{name}:{(tmp_path / f'{name}.password').read_text()}" for name in ("w.1", "wx1")
    ]
    assert (tmp_path / "passwd").stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in tmp_path.glob("passwd*")) == ["passwd"]


def test_a_run_that_failed_midway_is_completed_by_the_next_one(tmp_path: Path) -> None:
    made(tmp_path, "w.2")
    program = tmp_path / "bin/mosquitto_passwd"
    program.write_text("#!/bin/sh\nexit 1\n")
    path = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    failed = subprocess.run(["/bin/sh", SCRIPT, tmp_path, "w.1"], env=path, check=False)
    assert failed.returncode != 0
    password = (tmp_path / "w.1.password").read_text()
    assert sorted(path.name for path in tmp_path.glob("passwd*")) == ["passwd"], (
        "no plain password stays there"
    )
    made(tmp_path, "w.1")
    assert (tmp_path / "w.1.password").read_text() == password
    assert f"w.1:{password}\n" in (tmp_path / "passwd").read_text()


def test_no_shipped_command_has_a_password_as_an_argument() -> None:
    files = [DEPLOY.parent / "docker-compose.yml", *DEPLOY.rglob("*.sh"), *DEPLOY.rglob("*.y*ml")]
    commands = [line for file in files for line in file.read_text().splitlines() if "mosquitto_" in line]
    assert len(commands) > 8
    assert [line for line in commands if re.search(r"(?<!-)-[pP] [\"'$]|\[.* -P,", line)] == []
