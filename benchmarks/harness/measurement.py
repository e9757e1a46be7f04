"""Measures one scenario against one running target: the client's figures and the target's CPU and memory."""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from harness.load import Endpoint, LoadResult, put_load
from harness.machine import cpu_s, machine_time, process_tree, resident_kib
from harness.scenarios import Scenario

TIMEOUT_S = 90
DISTURBED_SHARE = 0.15
QUIET_SHARE = 0.15
SAMPLE_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Target:
    """Program under test. helpers: the benchmark's other processes, whose CPU time is not foreign."""

    name: str
    pid: int
    endpoint: Endpoint
    helpers: Sequence[int]
    idle_kib: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """Figures of one scenario.

    cpu_s, peak_kib: of the target's process tree.
    helper_cpu_s: by position in Target.helpers.
    foreign_share: CPU time of programs outside the benchmark, in CPUs (0.15 is 15 % of one).
    stolen_share: CPU time that the hypervisor gave to other guests, in CPUs.
    """

    load: LoadResult
    cpu_s: float
    busiest_share: float
    helper_cpu_s: tuple[float, ...]
    idle_kib: int
    peak_kib: int
    streams: int
    foreign_share: float
    stolen_share: float

    @property
    def flawed(self) -> bool:
        return bool(self.load.bad_streams or self.load.bad_sequence)

    @property
    def disturbed(self) -> bool:
        return self.foreign_share > DISTURBED_SHARE

    @property
    def cpu_us_per_token(self) -> float:
        return self.cpu_s * 1e6 / max(1, self.load.tokens)

    @property
    def cpu_ms_per_request(self) -> float:
        return self.cpu_s * 1e3 / max(1, self.load.ok)

    @property
    def tokens_per_s(self) -> float:
        return self.load.tokens / self.load.wall_s

    @property
    def requests_per_s(self) -> float:
        return self.load.ok / self.load.wall_s

    @property
    def kib_per_stream(self) -> float:
        return (self.peak_kib - self.idle_kib) / self.streams


class _Watch(threading.Thread):
    """Samples a process tree during the load: its largest memory and its busiest two seconds."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._ended = threading.Event()
        self._cpu: list[tuple[float, float]] = []
        self.peak_kib = 0

    def run(self) -> None:
        # Linux counts niceness by thread: only this one must yield to the load generator.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
        samples = 0
        while True:
            if samples % 8 == 0:  # the search for new children costs milliseconds
                family = process_tree(self._pid)
            self._cpu.append((time.monotonic(), cpu_s(family)))
            self.peak_kib = max(self.peak_kib, resident_kib(family))
            samples += 1
            if self._ended.wait(SAMPLE_EVERY_S):
                return

    def end(self) -> None:
        self._ended.set()
        self.join()

    def busiest_share(self) -> float:
        busiest = 0.0
        for i, (from_s, used_before_s) in enumerate(self._cpu):
            later = next((sample for sample in self._cpu[i + 1 :] if sample[0] - from_s >= 2), None)
            if later is None:
                break
            busiest = max(busiest, (later[1] - used_before_s) / (later[0] - from_s))
        return busiest


def measure(target: Target, scenario: Scenario) -> Measurement:
    watch = _Watch(target.pid)
    own_before_s, machine_before = _own_s(), machine_time()
    target_before_s, helpers_before_s = _tree_s(target.pid), [_tree_s(pid) for pid in target.helpers]
    watch.start()
    load = put_load(target.endpoint, scenario, timeout_s=TIMEOUT_S)
    target_s = _tree_s(target.pid) - target_before_s
    helpers_s = tuple(
        _tree_s(pid) - before for pid, before in zip(target.helpers, helpers_before_s, strict=True)
    )
    watch.end()
    machine = machine_time()
    ours_s = target_s + sum(helpers_s) + load.client_cpu_s + _own_s() - own_before_s
    return Measurement(
        load=load,
        cpu_s=target_s,
        busiest_share=watch.busiest_share(),
        helper_cpu_s=helpers_s,
        idle_kib=target.idle_kib,
        peak_kib=watch.peak_kib,
        streams=scenario.streams,
        foreign_share=(machine.busy_s - machine_before.busy_s - ours_s) / load.wall_s,
        stolen_share=(machine.stolen_s - machine_before.stolen_s) / load.wall_s,
    )


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of waiting for other programs. ends_at: end of waits and retries, on the monotonic clock."""

    retries: int
    idle_wait_s: float
    ends_at: float

    @property
    def left_s(self) -> float:
        return max(0.0, self.ends_at - time.monotonic())


def measure_undisturbed(target: Target, scenario: Scenario, patience: Patience) -> Measurement:
    """Measure again while other programs disturb and patience lasts; return the least disturbed attempt."""
    attempts: list[Measurement] = []
    while not attempts or (attempts[-1].disturbed and len(attempts) <= patience.retries and patience.left_s):
        _wait_until_quiet(min(patience.idle_wait_s, patience.left_s))
        attempts.append(measure(target, scenario))
        time.sleep(1)  # lets closed connections be cleaned up
    # A busy machine may delay tokens, but never lose or reorder them.
    return min(attempts, key=lambda one: (not one.load.bad_sequence, abs(one.foreign_share)))


def _wait_until_quiet(deadline_s: float) -> None:
    give_up_at = time.monotonic() + deadline_s
    while time.monotonic() < give_up_at:
        before_s = machine_time().busy_s
        time.sleep(1)
        if machine_time().busy_s - before_s < QUIET_SHARE:
            return


def _tree_s(pid: int) -> float:
    return cpu_s(process_tree(pid))


def _own_s() -> float:
    return sum(os.times()[:2])
