"""Runs several gateway processes on one port: starts them, restarts those that die, passes signals on.

The processes listen with SO_REUSEPORT, so that the system spreads connections over those that live. Each has
a session of its own: the terminal's Ctrl-C reaches only the supervisor, which passes it on once. Each
ends when its standard input ends, so that none outlives a supervisor that was killed.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from gateway.process.listeners import reserve, url_of
from gateway.settings import Settings

log = logging.getLogger("sluice.supervisor")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
WRONG_SETTING = 2
"""Exit code of a process that cannot use its settings. At the start all have the same ones, and must not be
restarted. Once one has run, a file that they name was changed: the others go on without it."""

STEADY_S = 10.0
"""Age in seconds at which a process that dies is restarted at once."""

FIRST_PAUSE_S, MAX_PAUSE_S = 1.0, 30.0
"""Seconds before the restart of a process that died younger; doubled with each such death in a row."""

Start = Callable[[int], Awaitable[Process]]
"""Starts the process with a number, from 1 on. The process ends when its standard input ends."""


class Supervisor:
    """Keeps `count` processes running until the first signal, which they also get; then waits for their end.

    clock: seconds, monotonic.
    """

    def __init__(self, start: Start, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._start = start
        self._count = count
        self._clock = clock
        self._running: dict[int, Process] = {}
        self._has_run = False
        self._stopping = asyncio.Event()
        self._code = 0

    async def run(self) -> int:
        """Return the exit code: 2 if a process found a wrong setting at the start, else 0."""
        loop = asyncio.get_running_loop()
        for signum in SIGNALS:
            loop.add_signal_handler(signum, self.stop)
        async with asyncio.TaskGroup() as group:
            for number in range(1, self._count + 1):
                group.create_task(self._keep(number))
        return self._code

    def stop(self) -> None:
        """Let the processes drain and end. Called again, it makes them end at once."""
        self._stopping.set()
        for process in self._running.values():
            with suppress(ProcessLookupError):
                process.terminate()

    async def _keep(self, number: int) -> None:
        pause_s = 0.0
        while not self._stopping.is_set():
            began = self._clock()
            end = await self._run_once(number)
            if self._stopping.is_set():
                return
            steady = self._clock() - began >= STEADY_S
            self._has_run = self._has_run or steady
            pause_s = 0.0 if steady else min(MAX_PAUSE_S, 2 * pause_s or FIRST_PAUSE_S)
            when = f"in {pause_s:g} s" if pause_s else "now"
            log.warning("process %d %s: it is restarted %s", number, end, when)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()

    async def _run_once(self, number: int) -> str:
        """Return how the process ended. A wrong setting stops all of them, unless one has run before."""
        try:
            process = self._running[number] = await self._start(number)
        except OSError as error:  # no memory, or too many processes: the others must not end with it
            return f"could not be started: {error}"
        if self._stopping.is_set():  # the signal came before the process
            process.terminate()
        code = await process.wait()
        del self._running[number]
        if code == WRONG_SETTING and not self._has_run and not self._stopping.is_set():
            self._code = code
            self.stop()
        return f"({process.pid}) {_end_of(code)}"


async def supervise(settings: Settings, from_file: Mapping[str, str]) -> int:
    """Run WORKERS gateways on HOST and PORT. Return the exit code. Raises SettingsError if the address is
    used.

    from_file: settings by their names that the processes get beside the environment, in place of reading
        `.env`: it may be another one when a process is started again.
    """
    with reserve(settings) as reserved:
        port = reserved.getsockname()[1]
        log.info("%d processes serve %s", settings.workers, url_of(reserved))

        async def start(number: int) -> Process:
            given = {"WORKERS": "1", "PROCESS_NUMBER": str(number), "PORT": str(port)}
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway", "serve", "--supervised"),
                env={**from_file, **os.environ, **given},
                stdin=PIPE,
                start_new_session=True,
            )

        return await Supervisor(start, settings.workers).run()


def end_with_input() -> None:
    """End this process by SIGTERM when its standard input ends, which its supervisor holds open."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="until-the-supervisor-ends", daemon=True).start()


def _end_of(code: int) -> str:
    """Return how a process ended, from its return code; those of signals are negative."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
