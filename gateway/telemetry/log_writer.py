"""Log lines leave through a thread: whoever does not read them holds nobody up."""

import os
import select
import threading
from collections import deque
from collections.abc import Callable

MAX_WAITING_BYTES = 1024 * 1024
MAX_WRITE_BYTES = 64 * 1024
GATHER_S = 0.02
"""How long lines are gathered before they are written: waking the thread costs more than a line."""

LAST_LINES_S = 1.0
"""How long the last lines are waited for when the process ends."""


class LogWriter:
    """Writes lines in their order. A line that finds no room is dropped, and the number of them said later.

    Args:
        write: writes all it gets, and may block; OSError loses what it got.
        dropped_line: the line that says how many were dropped.
        max_bytes: of lines that wait.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        dropped_line: Callable[[int], bytes],
        max_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._write = write
        self._dropped_line = dropped_line
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._held_bytes = 0
        self._dropped = 0
        self._hurry = False
        self._thread: threading.Thread | None = None

    def put(self, line: bytes, *, at_once: bool = False) -> None:
        """Write the line soon; never blocks. at_once: gather no others before."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
                self._thread.start()
            if self._held_bytes + len(line) > self._max_bytes:
                self._dropped += 1
                return
            is_first = not self._lines
            self._tell_dropped()
            self._append(line)
            self._hurry = self._hurry or at_once
            if is_first or self._hurry or self._held_bytes > MAX_WRITE_BYTES:
                self._changed.notify_all()

    def flush(self, timeout_s: float = LAST_LINES_S) -> bool:
        """Wait until all lines are written; False if that takes too long."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._held_bytes, timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines)
                self._changed.wait_for(self._is_time, GATHER_S)
                self._hurry = False
                batch = [self._lines.popleft()]
                size = len(batch[0])
                while self._lines and size + len(self._lines[0]) <= MAX_WRITE_BYTES:
                    batch.append(self._lines.popleft())
                    size += len(batch[-1])
            try:
                self._write(b"".join(batch))
                lost = 0
            except OSError:  # Nobody reads any more, or the disk is full.
                lost = len(batch)
            with self._changed:
                self._held_bytes -= size
                self._dropped += lost
                if not lost and not self._lines:
                    self._tell_dropped()
                self._changed.notify_all()

    def _is_time(self) -> bool:
        return self._hurry or self._held_bytes > MAX_WRITE_BYTES

    def _tell_dropped(self) -> None:
        if self._dropped:
            self._append(self._dropped_line(self._dropped))
            self._dropped = 0

    def _append(self, line: bytes) -> None:
        self._lines.append(line)
        self._held_bytes += len(line)


def write_all(descriptor: int, data: bytes) -> None:
    """Write to a descriptor, and wait where it takes nothing at the moment."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # Somebody who shares it made it non-blocking.
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()
