"""A whole terminal screen that is drawn again and again, by ANSI escapes."""

import os
import select
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

_OTHER_SCREEN, _OWN_SCREEN = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _END_OF_LINE, _END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


class Screen:
    """Draws pages. `wait` ends early when the terminal has a new size.

    The signal's handler writes to a pipe. A threading.Event could deadlock: the handler runs in the thread
    that waits, and may interrupt it while it holds the event's lock.
    """

    def __init__(self) -> None:
        self._resizes, self._handler_end = os.pipe()
        os.set_blocking(self._handler_end, False)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Use the terminal's other screen during the block; then the earlier content is there again.

        SIGTERM ends the block with SystemExit, as Ctrl-C does with KeyboardInterrupt.
        """
        before = [
            (signal.SIGWINCH, signal.signal(signal.SIGWINCH, self._hear_resize)),
            (signal.SIGTERM, signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))),
            (signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler)),
        ]
        self._write(_OTHER_SCREEN)
        try:
            yield
        finally:
            self._write(_OWN_SCREEN)
            for number, handler in before:
                signal.signal(number, handler)

    def draw(self, lines: Sequence[str]) -> None:
        """Replace the content, without flicker."""
        rows = f"{_END_OF_LINE}\n".join(lines)
        self._write(f"{_HOME}{rows}{_END_OF_LINE}{_END_OF_SCREEN}")

    def wait(self, seconds: float) -> bool:
        """Wait. Return True, at once, if the terminal was resized."""
        resized, _, _ = select.select([self._resizes], [], [], seconds)
        return bool(resized and os.read(self._resizes, 4096))

    def _hear_resize(self, *_: object) -> None:
        with suppress(BlockingIOError):  # full: `wait` ends anyway
            os.write(self._handler_end, b"r")

    @staticmethod
    def size() -> tuple[int, int]:
        """Return columns and lines."""
        found = shutil.get_terminal_size()
        return max(1, found.columns), max(1, found.lines)

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
