"""`sluice top` at a real gateway: one page, and live in a real terminal."""

import asyncio
import fcntl
import os
import pty
import struct
import sys
import termios
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

from gateway.contract.events import Delta, Done
from tests.commands.gateways import sluice, sluice_alone
from tests.web.api.admin.test_mode import Away, workers
from tests.web.api.admin.test_workers import Ruled
from tests.web.gateway_server import STREAM, served, unified_events
from tests.web.key_holders import CHAT, make_key
from transports.scripted import Step, tokens

OWN_SCREEN = "\x1b[?1049l"
DEADLINE_S = 120


async def test_one_page_has_the_running_replies_and_the_workers(tmp_path: Path) -> None:
    held = asyncio.Event()
    script: list[Step] = [[Delta("halfway")], held.wait, [Done("stop")]]
    async with (
        served(tmp_path, lambda _: script, kind=Ruled) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as response,
    ):
        events = unified_events(response)
        stream_id = (await anext(events))["stream_id"]
        await anext(events)
        seen = await sluice(gateway, "top", "--once")
        held.set()
        assert [event["type"] async for event in events][-1] == "done"
    assert seen.exit_code == 0
    (reply,) = [line.split() for line in seen.output.splitlines() if line.startswith(stream_id)]
    assert (reply[1], reply[3:5], reply[-3]) == ("local", ["sse", "lam"], "7")
    assert [line.split()[:2] for line in seen.output.splitlines() if line.startswith("w-1")] == [
        ["w-17", "ready"],
        ["w-18", "ready"],
    ]
    assert "\nno problems\n" in seen.output
    assert "\x1b" not in seen.output


async def test_a_key_without_the_right_and_no_gateway_are_one_line_each(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        key = await make_key(gateway, "anna", CHAT)
        admin = await make_key(gateway, "ops", frozenset({"admin"}))
        refused = await sluice(gateway, "top", "--once", key=key)
        seen = await sluice(gateway, "top", "--once", key=admin)
    assert (refused.exit_code, refused.output.count("\n")) == (1, 1)
    assert seen.exit_code == 0
    alone = sluice_alone(tmp_path, "top", "--once")
    assert (alone.exit_code, alone.output.count("\n"), "--url" in alone.output) == (1, 1, True)


async def test_another_mode_that_cannot_serve_is_shown_with_the_reason(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), mqtt=workers(kind=Away)) as gateway:
        seen = await sluice(gateway, "top", "--once")
    assert "\ncannot serve now: mqtt (no MQTT worker is ready)\n" in seen.output
    assert "\nno problems\n" in seen.output


async def without_database(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
    """Answer as a gateway whose database is away."""
    with closing(outgoing), suppress(asyncio.IncompleteReadError, ConnectionError):
        await incoming.readuntil(b"\r\n\r\n")
        body = b'{"detail":"The database could not answer: Connection refused."}'
        outgoing.write(
            b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        outgoing.write(body)


async def test_a_gateway_without_its_database_is_not_called_away(tmp_path: Path) -> None:
    async with await asyncio.start_server(without_database, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        told = await asyncio.to_thread(sluice_alone, tmp_path, "top", "--once", "--url", url)
    assert (told.exit_code, told.output) == (
        1,
        f"sluice: {url} cannot answer: The database could not answer: Connection refused. "
        "What is wrong: sluice doctor\n",
    )


class Terminal:
    """A real terminal with `sluice top` in it.

    shown: everything that was written to it and not forgotten.
    """

    def __init__(self, master: int) -> None:
        self._master = master
        self._news = asyncio.Event()
        self.shown = ""
        self.process: Process
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        with suppress(OSError):
            self.shown += os.read(self._master, 65_536).decode(errors="replace")
        self._news.set()

    async def until(self, text: str) -> str:
        """Return what was shown up to and with `text`, and forget it."""
        while text not in self.shown:
            self._news.clear()
            await self._news.wait()
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)


@asynccontextmanager
async def top_in_terminal(url: str, interval: str) -> AsyncIterator[Terminal]:
    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    master, slave = pty.openpty()
    terminal = Terminal(master)
    terminal.resize(120, 40)
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    arguments = ("-m", "gateway", "top", "--url", url, "--interval", interval)
    try:
        async with asyncio.timeout(DEADLINE_S):
            terminal.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
                preexec_fn=take_terminal,
                env=environment,
            )
            yield terminal
    finally:
        with suppress(ProcessLookupError):
            terminal.process.kill()
        await terminal.process.wait()
        asyncio.get_running_loop().remove_reader(master)
        os.close(master)
        os.close(slave)


async def test_it_is_drawn_again_after_a_resize_and_ctrl_c_gives_the_terminal_back(tmp_path: Path) -> None:
    async with (
        served(tmp_path, lambda _: tokens("x"), kind=Ruled) as gateway,
        top_in_terminal(gateway.url, "3600") as terminal,
    ):
        assert "no problems" in await terminal.until("\x1b[J")
        terminal.resize(12, 5)
        page = (await terminal.until("\x1b[J")).partition("\x1b[H")[2]
        lines = page.removesuffix("\x1b[J").split("\r\n")
        assert len(lines) == 5
        assert all(len(line.removesuffix("\x1b[K")) <= 12 for line in lines)
        terminal.type(b"\x03")
        await terminal.until(OWN_SCREEN)
        assert await terminal.process.wait() == 0


async def test_sigterm_gives_the_terminal_back(tmp_path: Path) -> None:
    async with (
        served(tmp_path, lambda _: tokens("x")) as gateway,
        top_in_terminal(gateway.url, "3600") as terminal,
    ):
        await terminal.until("no problems")
        terminal.process.terminate()
        await terminal.until(OWN_SCREEN)
        assert await terminal.process.wait() == 0


class Door:
    """One address for a gateway that is stopped and started again; without one, connections are closed."""

    def __init__(self) -> None:
        self.target = ""

    async def serve(self, incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        """Pass one request and its answer on. The request has no body."""
        with closing(outgoing), suppress(OSError, asyncio.IncompleteReadError):
            request = await incoming.readuntil(b"\r\n\r\n")
            if self.target:
                parts = urlsplit(self.target)
                answers, requests = await asyncio.open_connection(parts.hostname, parts.port)
                with closing(requests):
                    requests.write(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                    outgoing.write(await answers.read())


async def test_it_goes_on_after_a_restart_of_the_gateway(tmp_path: Path) -> None:
    door = Door()
    async with await asyncio.start_server(door.serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with top_in_terminal(url, "0.2") as terminal:
            await terminal.until("no gateway answers")
            for _ in range(2):
                async with served(tmp_path, lambda _: tokens("x"), kind=Ruled) as gateway:
                    door.target = gateway.url
                    await terminal.until("w-18")
                    door.target = ""
                await terminal.until("no gateway answers")
            terminal.type(b"\x03")
            assert await terminal.process.wait() == 0
