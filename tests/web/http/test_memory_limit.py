"""The memory that a gateway may use, which limits its large bodies."""

import os
from pathlib import Path

import pytest

from gateway.web.http.memory_limit import memory_limit

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
MIB = 2**20


def machine(root: Path, group: str, **limits: str) -> Path:
    """A file system with these limits by group, `_` for `/`."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(f"4:memory:/old\n0::{group}\n")
    for name, limit in limits.items():
        folder = root / "sys/fs/cgroup" / name.replace("_", "/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(f"{limit}\n")
    return root


@pytest.mark.parametrize(
    ("limits", "bytes_"),
    [
        ({"system_gateway": str(64 * MIB), "system": "max"}, 64 * MIB),
        ({"system_gateway": str(64 * MIB), "system": str(32 * MIB)}, 32 * MIB),
        ({"system_gateway": "max"}, PHYSICAL),
        ({"system_gateway": str(2**60)}, PHYSICAL),
        ({"system_gateway": "rubbish"}, PHYSICAL),
    ],
)
def test_the_least_limit_of_the_groups_counts(tmp_path: Path, limits: dict[str, str], bytes_: int) -> None:
    assert memory_limit(machine(tmp_path, "/system/gateway", **limits)) == bytes_


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    machine(tmp_path, "/")
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/memory.max").write_text(str(64 * MIB))
    assert memory_limit(tmp_path) == 64 * MIB


def test_without_control_groups_it_is_the_machines_memory(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) == PHYSICAL
