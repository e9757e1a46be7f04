"""A child finds an OpenMP runtime also where the system has none."""

import os
import subprocess
import sys

import pytest

from transports.llama import openmp

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux wheels expect it")

SHOW = f"""
import ctypes; ctypes.CDLL("{openmp.LIBRARY}")
print(*{{line.split()[-1] for line in open("/proc/self/maps") if "libgomp" in line}})
"""


def test_a_system_that_has_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "system_has_openmp", lambda: True)
    with openmp.openmp_environment() as environment:
        assert environment == {}


def test_where_it_is_missing_a_child_gets_the_lent_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "system_has_openmp", lambda: False)
    with openmp.openmp_environment() as environment:
        child = subprocess.run(
            [sys.executable, "-c", SHOW],
            env={**os.environ, **environment},
            capture_output=True,
            check=True,
            text=True,
        )
    assert child.stdout.strip() == str(openmp.lent_openmp())


def test_a_system_without_it_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "LIBRARY", "libnobody-has-this.so.1")
    assert not openmp.system_has_openmp()
