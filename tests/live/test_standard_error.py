"""The real command where nobody reads its log, and when it is asked to reopen it."""

import asyncio
import fcntl
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.live.brokers import free_port, requires_mosquitto, running_mosquitto
from tests.live.llama_server import requires_llama
from tests.live.programs import clean_environment, running_program, sluice
from tests.plain_http import plain_http
from tests.web.gateway_server import STREAM

pytestmark = [pytest.mark.live]


@pytest.fixture
def hangup_as_usual() -> Iterator[None]:
    """Programs inherit no ignored SIGHUP, as they would where the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


SMALLEST_PIPE_BYTES = 4096
FAILURES = 60
"""Each makes a log line of more than a hundred bytes: more than the pipe takes."""


@asynccontextmanager
async def gateway_into_a_pipe(tmp_path: Path) -> AsyncIterator[tuple[Process, httpx.AsyncClient, int]]:
    """A gateway without a model server, a client of it, and the end of a small pipe with its log."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE_BYTES)
    settings = {
        "PORT": str(free_port()),
        "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}",
        "LLM_SERVER_URL": f"http://127.0.0.1:{free_port()}",
    }
    process = await asyncio.create_subprocess_exec(
        *sluice("serve"), env=clean_environment(**settings), stdout=DEVNULL, stderr=writer
    )
    os.close(writer)
    try:
        said = b""
        while b"listening on" not in said:
            said += await asyncio.to_thread(os.read, reader, 65_536)
        async with plain_http(f"http://127.0.0.1:{settings['PORT']}") as http:
            yield process, http, reader
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        with suppress(OSError):
            os.close(reader)


async def fail_often(http: httpx.AsyncClient) -> None:
    for _ in range(FAILURES):
        async with http.stream("POST", STREAM, json={"content": "Hi"}) as answer:
            await answer.aread()
    assert (await http.get("/health")).status_code == 200


async def test_a_log_that_nobody_reads_holds_up_neither_requests_nor_the_end(tmp_path: Path) -> None:
    async with asyncio.timeout(120), gateway_into_a_pipe(tmp_path) as (process, http, _):
        await fail_often(http)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_a_log_that_is_read_late_is_whole(tmp_path: Path) -> None:
    async with asyncio.timeout(120), gateway_into_a_pipe(tmp_path) as (process, http, reader):
        await fail_often(http)
        process.send_signal(signal.SIGTERM)
        said = b""
        while more := await asyncio.to_thread(os.read, reader, 65_536):
            said += more
        assert await process.wait() == 0
    assert said.count(b"unreachable") >= FAILURES
    assert b"draining" in said


async def test_a_log_whose_reader_has_gone_harms_nothing(tmp_path: Path) -> None:
    async with asyncio.timeout(120), gateway_into_a_pipe(tmp_path) as (process, http, reader):
        os.close(reader)
        await fail_often(http)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


SERVE = ("listening on", ["serve"])
WORKER = ("worker w serves", ["worker", "--name", "w", "--llm-url", "http://127.0.0.1:1"])
DEMO = ("Sluice is ready", ["demo"])


@pytest.mark.parametrize(
    ("begun", "arguments"),
    [
        SERVE,
        pytest.param(*WORKER, marks=requires_mosquitto()),
        pytest.param(*DEMO, marks=[requires_mosquitto(), requires_llama()]),
    ],
    ids=["serve", "worker", "demo"],
)
@pytest.mark.usefixtures("hangup_as_usual")
async def test_sighup_ends_nothing(tmp_path: Path, begun: str, arguments: list[str]) -> None:
    settings = {"PORT": "0", "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"}
    async with asyncio.timeout(120), running_mosquitto() as broker:
        if arguments[0] == "worker":
            arguments = [*arguments, "--broker", f"{broker.address.host}:{broker.address.port}"]
        async with running_program(*sluice(*arguments), cwd=None, **settings) as program:
            await program.until_said(begun)
            for _ in range(2):
                program.said = ""
                program.process.send_signal(signal.SIGHUP)
                await program.until_said("SIGHUP ignored")
            assert await program.end(signal.SIGTERM) == 0


async def test_sighup_stays_ignored_where_nohup_says_so(tmp_path: Path) -> None:
    settings = {"PORT": "0", "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"}
    ignoring = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *sluice("serve")]
    async with asyncio.timeout(120), running_program(*ignoring, cwd=None, **settings) as program:
        await program.until_said("listening on")
        program.process.send_signal(signal.SIGHUP)
        assert await program.end(signal.SIGTERM) == 0
    assert "SIGHUP" not in program.said
