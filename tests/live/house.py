"""One gateway process for live tests: requests over bare sockets, and a view of its state from outside."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

from tests.live.looking import look_again
from tests.live.test_gateway import Gateway, running_gateway
from tests.web.raw_reader import RawClient, RawReader


@asynccontextmanager
async def gateway_of(tmp_path: Path, model_url: str, **settings: str) -> AsyncIterator["House"]:
    async with (
        running_gateway(tmp_path, LLM_SERVER_URL=model_url, **settings) as gateway,
        House(gateway) as house,
    ):
        yield house


class House:
    """One gateway process with a client on bare sockets."""

    def __init__(self, gateway: Gateway) -> None:
        self.program = gateway.program
        self.http = gateway.http
        self.client = RawClient(str(gateway.http.base_url).rstrip("/"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.__aexit__()

    async def begin(self, content: str = "Hi", **more: Any) -> RawReader:
        """Send a message and read until the first text."""
        reader = await self.client.ask(content, **more)
        await reader.begin()
        return reader

    async def messages(self) -> list[dict[str, Any]]:
        """Return all assistant messages of all sessions."""
        sessions = (await self.http.get("/api/chatbot/sessions", params={"limit": 200})).json()
        told = [
            (await self.http.get(f"/api/chatbot/sessions/{session['id']}/messages")).json()
            for session in sessions
        ]
        return [message for messages in told for message in messages if message["role"] == "assistant"]

    async def holds(self) -> dict[str, int]:
        """Return the gateway's counts of what it currently holds for clients."""
        told = (await self.http.get("/api/metrics")).json()["gateway"]
        return {name: told[name] for name in ("runs", "streams", "journalBytes")}

    async def runs(self) -> int:
        return (await self.holds())["runs"]

    async def streams(self) -> int:
        return (await self.holds())["streams"]

    async def until_it_holds_nothing(self) -> None:
        await until(self.holds, {"runs": 0, "streams": 0, "journalBytes": 0})

    async def sockets(self) -> int:
        """Return the number of sockets that the process has open."""
        return open_sockets(self.program.process.pid)

    def said_no_errors(self) -> bool:
        return "ERROR" not in self.program.said and "Traceback" not in self.program.said


async def until(look: Callable[[], Awaitable[Any]], expected: Any) -> None:
    """Call `look` until it returns `expected`. The test has the deadline."""
    while await look() != expected:
        await look_again()


def open_sockets(pid: int) -> int:
    """Return the number of open sockets of a process. One that closes meanwhile does not count."""
    count = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            count += descriptor.readlink().name.startswith("socket:")
    return count
