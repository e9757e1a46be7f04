"""Figures of processes and the machine from /proc, and the assignment of CPUs."""

import contextlib
import os
import platform
from pathlib import Path
from typing import NamedTuple

CPUS = sorted(os.sched_getaffinity(0))
TARGET_CPU = CPUS[0]
MODEL_CPU = CPUS[1 % len(CPUS)]
LOAD_CPU = CPUS[2 if len(CPUS) > 2 else 1 % len(CPUS)]

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


def process_tree(root: int) -> list[int]:
    """Return the process id and those of all descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(_stat_fields(int(entry))[1]), []).append(int(entry))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def _stat_fields(pid: int) -> list[str]:
    # The fields after the command's name, which may hold spaces and brackets; the first is the state.
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def cpu_s(pids: list[int]) -> float:
    """Return the CPU seconds that the processes and their ended children have used."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = _stat_fields(pid)
            own_s = (int(fields[11]) + int(fields[12])) / TICKS_PER_S
            children_s = (int(fields[13]) + int(fields[14])) / TICKS_PER_S
            threads_ns = sum(
                int((task / "schedstat").read_text().split()[0])
                for task in Path(f"/proc/{pid}/task").iterdir()
            )
            # schedstat is exact but leaves out ended threads; stat counts all, in ticks of 10 ms.
            exact_s = threads_ns / 1e9
            total += (exact_s if exact_s > own_s - 0.05 else own_s) + children_s
    return total


def resident_kib(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_KIB
    return total


class MachineTime(NamedTuple):
    """CPU seconds since boot: used by all processes, and stolen by the hypervisor's other guests."""

    busy_s: float
    stolen_s: float


def machine_time() -> MachineTime:
    with open("/proc/stat") as stat:
        ticks = [int(field) for field in stat.readline().split()[1:9]]
    idle, waiting, stolen = ticks[3], ticks[4], ticks[7]
    return MachineTime((sum(ticks) - idle - waiting) / TICKS_PER_S, stolen / TICKS_PER_S)


def description() -> str:
    """Return the machine's CPU, memory and system in a few words, without its host name."""
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    kernel = platform.release().split("-")[0]
    return f"{len(CPUS)} cores ({model}), Linux {kernel}, Python {platform.python_version()}"
