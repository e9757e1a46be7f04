"""Tries the built wheel and source distribution as a stranger would: `make release` runs it behind the build.

The wheel is installed into a new virtual environment; `sluice serve` must answer /health there. The source
distribution must hold the tests, and a wheel built from it must hold the same files.
"""

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import venv
import zipfile
from pathlib import Path

DIST = Path("dist")
IN_SDIST = (
    "tests/conftest.py",
    "docs/architecture.md",
    "Makefile",
    "requirements.lock",
    "CHANGELOG.md",
    "LICENSE",
)
IN_WHEEL = ("gateway/py.typed", "transports/py.typed", "transports/llama/models/tiny.gguf")


def only(pattern: str, folder: Path = DIST) -> Path:
    (path,) = folder.glob(pattern)
    return path.resolve()


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def check_answers(sluice: Path, folder: Path) -> None:
    """Start `sluice serve` on a free port, without any setting of this shell, and ask for /health."""
    settings = {"HOME": str(folder), "PATH": os.environ["PATH"], "PORT": "0", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sluice, "serve"],
        cwd=folder,
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as program:
        try:
            assert program.stdout is not None
            said = ""
            while (listening := re.search(r"listening on (http://\S+)", said)) is None:
                line = program.stdout.readline()
                assert line, f"sluice serve ended:\n{said}"
                said += line
            with urllib.request.urlopen(f"{listening[1]}/health", timeout=30) as answer:
                assert answer.status == 200, answer.status
        finally:
            program.terminate()
    assert program.returncode == 0, f"it ended with {program.returncode}"


def main() -> None:
    wheel, sdist = only("*.whl"), only("*.tar.gz")
    with tempfile.TemporaryDirectory(prefix="sluice-release-") as temporary:
        folder = Path(temporary)
        assert set(IN_WHEEL) <= names_in(wheel), "the wheel lacks files"
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        source = only("sluice_gateway-*", folder)
        assert not [name for name in IN_SDIST if not (source / name).exists()], "the sdist lacks files"
        subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=source, check=True)
        assert names_in(only("*.whl", source / "dist")) == names_in(wheel), "a wheel of the sdist differs"

        venv.create(folder / "venv", with_pip=True)
        subprocess.run([folder / "venv/bin/python", "-m", "pip", "install", "--quiet", wheel], check=True)
        sluice = folder / "venv/bin/sluice"
        version = subprocess.run(
            [sluice, "--version"], check=True, capture_output=True, text=True
        ).stdout.strip()
        assert version.split()[-1] == wheel.name.split("-")[1], version
        check_answers(sluice, folder)
    print(f"{version}: {wheel.name} and {sdist.name} are good")


if __name__ == "__main__":
    main()
