"""The metrics of the process, also where /proc shows processes alone."""

import sys
from pathlib import Path

import pytest

from gateway.telemetry.process_families import ProcessFamilies

NAMES = {
    "process_cpu_seconds",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def values(proc: Path) -> dict[str, float]:
    families = ProcessFamilies(registry=None, proc=str(proc)).collect()
    return {family.name: family.samples[0].value for family in families}


def test_a_unit_that_hides_the_rest_of_proc_has_them_too(tmp_path: Path) -> None:
    """The shipped unit has ProcSubset=pid, which hides /proc/stat."""
    (tmp_path / "self").symlink_to("/proc/self")
    told, everything = values(tmp_path), values(Path("/proc"))
    assert set(told) == set(everything) == NAMES
    begun = "process_start_time_seconds"
    assert told[begun] == pytest.approx(everything[begun], abs=2)


def test_without_proc_there_are_none(tmp_path: Path) -> None:
    assert values(tmp_path) == {}
