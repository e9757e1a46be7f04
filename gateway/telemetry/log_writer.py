"""Writes log lines in a thread, so that a slow reader of standard error does not block the event loop."""

import os
import select
import threading
from collections import deque
from collections.abc import Callable

MAX_WAITING_BYTES = 1024 * 1024
MAX_WRITE_BYTES = 64 * 1024
GATHER_S = 0.02
"""Seconds for which lines are collected before they are written: waking the thread costs more than a line."""

LAST_LINES_S = 1.0
"""Maximum seconds that the end of the process waits for the last lines."""


class LogWriter:
    """Writes lines in their order. Lines above the limit are dropped, and their number is written later.

    Args:
        write: writes all of its data, and may block; if it raises OSError, the data is dropped.
        dropped_line: returns the line that reports the number of dropped lines.
        max_bytes: of lines that are not written yet.
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
        """Queue the line; never blocks. at_once: write it without waiting for more lines."""
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
        """Wait until all lines are written. Return False after `timeout_s`."""
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
            except OSError:  # the reader has closed the pipe, or the disk is full
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
    """Write all data to a descriptor, waiting while it is not writable. Raises OSError."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # another process that shares the descriptor made it non-blocking
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()
