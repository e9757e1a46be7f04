"""Program: starts `sluice serve` again and again, without the import of its modules at each start.

usage: python -m tests.chaos.nest_program LOG

For each line on standard input it starts one gateway, a process of its own that says everything to LOG, and
prints its process id, and at its end its exit code. Most of a start is the import, and a campaign has many.
"""

import ctypes
import importlib
import os
import signal
import sys
import traceback
from pathlib import Path

from gateway.__main__ import main as serve

_PR_SET_PDEATHSIG = 1


def main(log: Path) -> None:
    for name in ("gateway.cli", "gateway.process.serve", "sqlalchemy.dialects.postgresql.asyncpg"):
        importlib.import_module(name)
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _serve(log)
        _say(pid)
        _say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _serve(log: Path) -> None:
    code = 1
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        said = os.open(log, os.O_WRONLY | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.argv = ["sluice", "serve"]
        serve()
        code = 0
    except SystemExit as exit:
        code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    except BaseException:  # noqa: BLE001 - this process ends here
        traceback.print_exc()
    os._exit(code)


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
