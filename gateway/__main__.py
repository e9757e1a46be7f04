"""The command `sluice` and `python -m gateway`: takes the signals before the imports, which are slow."""

import gc
import os
import signal
from types import FrameType


def main() -> None:
    # Also if a shell started the process with these signals ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    # Imports create many objects that are not garbage, and those of a token die young: collect less often.
    gc.set_threshold(50_000, 50, 50)
    from gateway.cli import main as run

    run()


def _end(number: int, _: FrameType | None) -> None:
    """End the process at once: nothing is open yet, and an exception would print an import's traceback."""
    os._exit(128 + number)


if __name__ == "__main__":
    main()
