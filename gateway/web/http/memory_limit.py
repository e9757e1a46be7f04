"""The memory that this process may use."""

import os
from contextlib import suppress
from pathlib import Path


def memory_limit(root: Path = Path("/")) -> int:
    """Return the bytes: the least limit of the process's control groups, or the machine's memory if that is
    less or they have none. Source: Linux, Control Group v2, memory.max.

    root: of the file system.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    groups = root / "sys/fs/cgroup"
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::/"):
                group = groups / line.removeprefix("0::/")
                limits += [_limit_of(each) for each in (group, *group.parents) if each.is_relative_to(groups)]
    return min(limit for limit in limits if limit > 0)


def _limit_of(group: Path) -> int:
    """Return the group's limit in bytes; 0 without one."""
    try:
        return int((group / "memory.max").read_text())
    except (OSError, ValueError):  # the root has no such file, and `max` is no limit
        return 0
