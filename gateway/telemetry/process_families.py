"""CPU time, memory and descriptors of this process as Prometheus families, on Linux."""

import time

from prometheus_client import ProcessCollector


class ProcessFamilies(ProcessCollector):
    """ProcessCollector also where /proc shows processes alone, as with ProcSubset=pid in a systemd unit.

    There it does not find the time of the boot, and tells nothing at all.
    """

    def _boot_time(self) -> float | None:
        try:
            told: float | None = super()._boot_time()  # type: ignore[no-untyped-call]
        except OSError:
            clock = getattr(time, "CLOCK_BOOTTIME", None)
            told = None if clock is None else time.time() - time.clock_gettime(clock)
        return told
