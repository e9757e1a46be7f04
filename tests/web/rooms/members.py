"""Clients of rooms on each wire: socket.io on a WebSocket, by long polls and upgraded; a plain WebSocket."""

import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.plain_http import plain_http

Told = tuple[str, dict[str, Any]]


class Refused(Exception):
    """The client may not connect. The argument is the data of the refusal."""


class Member:
    """One client. It reads only while it waits for something. raw: what it has read, as it came."""

    def __init__(self) -> None:
        self.raw: list[str] = []
        self._events: deque[Told] = deque()
        self._acks: dict[int, Any] = {}
        self._last_ack = 0

    async def call(self, name: str, data: Any = None) -> dict[str, Any]:
        """Send an event, and return its answer."""
        self._last_ack += 1
        number = self._last_ack
        await self._send(name, data, number)
        while number not in self._acks:
            await self._read()
        answer: dict[str, Any] = self._acks.pop(number)
        return answer

    async def done(self, name: str, data: Any = None) -> dict[str, Any]:
        """Send an event, which must be accepted."""
        answer = await self.call(name, data)
        assert answer.get("ok") is True, answer
        return answer

    async def emit(self, name: str, data: Any = None) -> None:
        """Send an event without asking for an answer."""
        await self._send(name, data, None)

    async def event(self) -> Told:
        """Return the next event."""
        while not self._events:
            await self._read()
        return self._events.popleft()

    async def until(self, *names: str) -> Told:
        """Return the next event with one of these names, and forget those before it."""
        while True:
            name, data = await self.event()
            if name in names:
                return name, data

    async def reply(self) -> str:
        """Return the text of the next reply, from its start to its end. Check its positions."""
        _, began = await self.until("reply:start")
        text: str = began["content"]
        while True:
            name, data = await self.until("reply:chunk", "reply:done", "reply:error")
            if data["streamId"] != began["streamId"]:
                continue
            if name != "reply:chunk":
                assert data["length"] == len(text)
                return text
            assert data["position"] == len(text)
            text += data["content"]

    async def until_closed(self) -> tuple[int, str]:
        """Read until the server closes the connection. Return code and reason; of polls 0 and nothing."""
        try:
            while True:
                await self._read()
        except ConnectionClosed as end:
            return (end.rcvd.code, end.rcvd.reason) if end.rcvd is not None else (1006, "")
        except EOFError:
            return 0, ""

    async def _send(self, name: str, data: Any, ack: int | None) -> None:
        raise NotImplementedError

    async def _read(self) -> None:
        raise NotImplementedError


class PlainMember(Member):
    """connection: to the plain WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        super().__init__()
        self.connection = connection

    async def _send(self, name: str, data: Any, ack: int | None) -> None:
        more = ({} if data is None else {"data": data}) | ({} if ack is None else {"ack": ack})
        await self.connection.send(json.dumps({"event": name, **more}))

    async def _read(self) -> None:
        text = await self.connection.recv(decode=True)
        self.raw.append(text)
        told = json.loads(text)
        if told["event"] == "ack":
            self._acks[told["ack"]] = told["data"]
        else:
            assert list(told) == ["event", "data"]
            self._events.append((told["event"], told["data"]))


class SocketIoMember(Member):
    """A client of socket.io. opened: the server's first packet."""

    def __init__(self, namespace: str) -> None:
        super().__init__()
        self._prefix = "" if namespace == "/" else f"{namespace},"
        self._connected: Any = None
        self.opened: dict[str, Any] = {}

    async def begin(self, auth: Any) -> None:
        """Connect to the namespace. Raises Refused."""
        await self.put(f"40{self._prefix}{'' if auth is None else json.dumps(auth)}")
        while self._connected is None:
            await self._read()
        if "sid" not in self._connected:
            raise Refused(self._connected)

    async def put(self, packet: str) -> None:
        """Send a packet of Engine.IO."""
        raise NotImplementedError

    async def _send(self, name: str, data: Any, ack: int | None) -> None:
        said = json.dumps([name] if data is None else [name, data])
        await self.put(f"42{self._prefix}{'' if ack is None else ack}{said}")

    async def _take(self, packet: str) -> None:
        self.raw.append(packet)
        if packet == "2":
            await self.put("3")
        elif packet == "1":
            raise EOFError
        elif packet.startswith("0"):
            self.opened = json.loads(packet[1:])
        elif packet.startswith(("40", "44")):
            self._connected = json.loads(packet[2:].removeprefix(self._prefix))
        elif packet.startswith("43"):
            number, _, said = packet[2:].removeprefix(self._prefix).partition("[")
            (self._acks[int(number)],) = json.loads(f"[{said}")
        elif packet != "6":
            assert packet.startswith(f"42{self._prefix}"), packet
            name, data = json.loads(packet[2:].removeprefix(self._prefix))
            self._events.append((name, data))


class SocketMember(SocketIoMember):
    def __init__(self, connection: ClientConnection, namespace: str) -> None:
        super().__init__(namespace)
        self.connection = connection

    async def put(self, packet: str) -> None:
        await self.connection.send(packet)

    async def _read(self) -> None:
        packet = await self.connection.recv()
        assert isinstance(packet, str)
        if packet != "1":  # the close of the WebSocket comes next, with its reason
            await self._take(packet)


class PollingMember(SocketIoMember):
    """url: of the polls."""

    def __init__(self, http: httpx.AsyncClient, url: str, namespace: str) -> None:
        super().__init__(namespace)
        self._http = http
        self._url = url

    async def open(self) -> None:
        await self._read()
        self._url += f"&sid={self.opened['sid']}"

    async def put(self, packet: str) -> None:
        headers = {"content-type": "text/plain;charset=UTF-8"}
        response = await self._http.post(self._url, content=packet, headers=headers)
        if response.status_code != httpx.codes.OK:
            raise Refused(response.json())

    async def _read(self) -> None:
        response = await self._http.get(self._url)
        if response.status_code != httpx.codes.OK:
            raise EOFError
        for packet in response.text.split("\x1e"):
            await self._take(packet)


def address(url: str) -> str:
    return url.replace("http", "ws", 1)


@asynccontextmanager
async def plain(url: str, auth: Any = None, namespace: str = "/", query: str = "") -> AsyncIterator[Member]:
    async with connect(f"{address(url)}/ws?{query}", max_size=None) as connection:
        member = PlainMember(connection)
        if auth is not None:
            answer = await member.call("auth", auth)
            if "error" in answer:
                raise Refused(answer["error"])
        yield member


@asynccontextmanager
async def websocket(
    url: str, auth: Any = None, namespace: str = "/", query: str = "", path: str = "/socket.io/"
) -> AsyncIterator[SocketMember]:
    asked = f"{address(url)}{path}?EIO=4&transport=websocket&{query}"
    async with connect(asked, max_size=None, compression=None) as connection:
        member = SocketMember(connection, namespace)
        await member.begin(auth)
        yield member


@asynccontextmanager
async def polling(
    url: str, auth: Any = None, namespace: str = "/", query: str = "", path: str = "/socket.io/"
) -> AsyncIterator[PollingMember]:
    async with plain_http(url) as http:
        member = PollingMember(http, f"{path}?EIO=4&transport=polling&{query}", namespace)
        await member.open()
        await member.begin(auth)
        yield member


@asynccontextmanager
async def upgraded(
    url: str, auth: Any = None, namespace: str = "/", query: str = ""
) -> AsyncIterator[SocketMember]:
    """Begin with polls, as socket.io's clients do, and go on with a WebSocket."""
    async with polling(url, auth, namespace, query) as before:
        asked = f"{address(url)}/socket.io/?EIO=4&transport=websocket&sid={before.opened['sid']}"
        async with connect(asked, max_size=None, compression=None) as connection:
            await connection.send("2probe")
            assert await connection.recv() == "3probe"
            await connection.send("5")
            member = SocketMember(connection, namespace)
            member.opened = before.opened
            yield member


Wire = Callable[..., AbstractAsyncContextManager[Member]]

WIRES: Mapping[str, Wire] = {
    "websocket": websocket,
    "polling": polling,
    "upgraded": upgraded,
    "plain": plain,
}
