"""The supervisor of several processes, with small programs in place of gateways."""

import asyncio
import errno
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gateway.process import supervisor as supervisor_module
from gateway.process.supervisor import Supervisor

LIVES = "import signal; print('up', flush=True); signal.pause()"
NEEDS_TWO_SIGNALS = """
import signal, sys
heard = []
def hear(*_):
    heard.append(1)
    print('heard', flush=True)
    if len(heard) == 2:
        sys.exit(0)
signal.signal(signal.SIGTERM, hear)
print('up', flush=True)
while True:
    signal.pause()
"""
DIES = "raise SystemExit(7)"
IS_WRONG = "raise SystemExit(2)"


@dataclass
class Started:
    """The processes in the order of their start, each with its number."""

    programs: list[str]
    begun: "asyncio.Queue[tuple[int, Process]]" = field(default_factory=asyncio.Queue)

    async def __call__(self, number: int) -> Process:
        program = self.programs.pop(0) if len(self.programs) > 1 else self.programs[0]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdin=DEVNULL, stdout=PIPE
        )
        self.begun.put_nowait((number, process))
        return process

    async def next(self) -> tuple[int, Process]:
        """Return the next process when it runs."""
        number, process = await self.begun.get()
        assert await line_of(process) == "up"
        return number, process


async def line_of(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


@asynccontextmanager
async def supervising(
    started: Started, count: int = 2
) -> AsyncIterator[tuple[Supervisor, asyncio.Task[int]]]:
    supervisor = Supervisor(started, count)
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        yield supervisor, group.create_task(supervisor.run())


async def test_a_killed_process_comes_back_under_its_number(caplog: pytest.LogCaptureFixture) -> None:
    started = Started([LIVES])
    async with supervising(started) as (supervisor, ended):
        processes = dict([await started.next(), await started.next()])
        assert sorted(processes) == [1, 2]
        processes[2].kill()
        number, _ = await started.next()
        assert number == 2
        assert processes[1].returncode is None
        supervisor.stop()
        assert await ended == 0
    (line,) = caplog.messages
    assert line == f"process 2 ({processes[2].pid}) was ended by SIGKILL: it is restarted in 1 s"


async def test_each_early_death_doubles_the_pause_up_to_the_maximum(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(supervisor_module, "MAX_PAUSE_S", 0.003)
    started = Started([DIES, DIES, DIES, LIVES])
    async with supervising(started, 1) as (supervisor, ended):
        for _ in range(3):
            await started.begun.get()
        await started.next()
        supervisor.stop()
        assert await ended == 0
    assert [line.partition("exit code 7: it is restarted in ")[2] for line in caplog.messages] == [
        "0.001 s",
        "0.002 s",
        "0.003 s",
    ]


async def test_a_process_that_ran_for_long_is_restarted_at_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "STEADY_S", 0)
    started = Started([LIVES])
    async with supervising(started, 1) as (supervisor, ended):
        (await started.next())[1].kill()
        await started.next()
        supervisor.stop()
        assert await ended == 0
    assert caplog.messages[0].endswith("it is restarted now")


async def test_a_process_that_cannot_be_started_is_tried_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE_S", 0.001)
    started = Started([LIVES])
    has_no_memory = True

    async def start(number: int) -> Process:
        nonlocal has_no_memory
        if number == 2 and has_no_memory:
            has_no_memory = False
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return await started(number)

    supervisor = Supervisor(start, 2)
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        ended = group.create_task(supervisor.run())
        processes = dict([await started.next(), await started.next()])
        assert processes[1].returncode is None
        supervisor.stop()
        assert await ended == 0
    why = "could not be started: [Errno 11] Resource temporarily unavailable"
    assert caplog.messages == [f"process 2 {why}: it is restarted in 0.001 s"]


async def test_a_wrong_setting_ends_all_of_them(caplog: pytest.LogCaptureFixture) -> None:
    started = Started([LIVES, IS_WRONG])
    async with supervising(started) as (_, ended):
        assert await ended == 2
    assert caplog.messages == []


async def test_a_setting_that_is_wrong_at_a_restart_ends_no_other_process(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE_S", 0.001)
    ages = iter([0.0, 0.0, 60.0])  # the start of both, and the end of the first, which has run for a minute
    started = Started([LIVES, LIVES, IS_WRONG, LIVES])
    supervisor = Supervisor(started, 2, clock=lambda: next(ages, 60.0))
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        ended = group.create_task(supervisor.run())
        processes = dict([await started.next(), await started.next()])
        processes[2].kill()
        _, wrong = await started.begun.get()
        number, _ = await started.next()
        assert (number, wrong.returncode, processes[1].returncode) == (2, 2, None)
        supervisor.stop()
        assert await ended == 0
    assert [line.partition(") ")[2] for line in caplog.messages] == [
        "was ended by SIGKILL: it is restarted now",
        "ended with exit code 2: it is restarted in 0.001 s",
    ]


async def test_a_stop_waits_for_the_end_and_a_second_one_is_passed_on() -> None:
    started = Started([NEEDS_TWO_SIGNALS])
    async with supervising(started) as (supervisor, ended):
        processes = [(await started.next())[1], (await started.next())[1]]
        supervisor.stop()
        assert [await line_of(process) for process in processes] == ["heard", "heard"]
        assert not ended.done()
        supervisor.stop()
        assert await ended == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_the_supervisor_stops(number: signal.Signals) -> None:
    started = Started([LIVES])
    async with supervising(started) as (_, ended):
        for _ in range(2):
            await started.next()
        signal.raise_signal(number)
        assert await ended == 0


async def test_a_stop_ends_the_pause_before_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE_S", 3600)
    pausing = asyncio.Event()
    monkeypatch.setattr(supervisor_module.log, "warning", lambda *_: pausing.set())
    async with supervising(Started([DIES]), 1) as (supervisor, ended):
        await pausing.wait()
        supervisor.stop()
        assert await ended == 0
