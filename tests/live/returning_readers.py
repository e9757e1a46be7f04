"""Clients that return whenever their connection is lost, until they have read their reply to its end."""

import asyncio

import httpx

from gateway.contract.dialect import Dialect
from tests.live.looking import look_again
from tests.web.gateway_server import STREAM

_AWAY = (502, 503, 504)


class ReturningReader:
    """Reads one reply as an EventSource does: it returns with the last event's id until it gets 204.

    In a dialect without event ids it gets the reply from its beginning each time, and has read it when a
    response ends properly.

    Attributes:
        question: of the reply.
        told: the complete frames that were received.
        stream_id: of the reply; empty before the first answer.
        connections: number of responses that were read.
    """

    def __init__(self, client: httpx.AsyncClient, dialect: Dialect, question: str) -> None:
        self.question = question
        self.told = b""
        self.stream_id = ""
        self.connections = 0
        self._client = client
        self._dialect = dialect
        self._last_id: str | None = None
        self._grown = asyncio.Event()

    async def run(self) -> None:
        """Ask, and read to the end."""
        over = await self._read_once(self._asking())
        while not over:
            over = await self._read_once(self._asking() if not self.stream_id else self._returning())

    async def until(self, text: str) -> None:
        """Return when this text was received. It must be one delta of the reply, in ASCII."""
        while text.encode() not in self.told:
            grown = self._grown
            await grown.wait()

    def _asking(self) -> httpx.Request:
        body = {"content": self.question, "resumable": True}
        params = {"format": self._dialect.name}
        return self._client.build_request("POST", STREAM, json=body, params=params)

    def _returning(self) -> httpx.Request:
        params = {"format": self._dialect.name}
        path = f"{STREAM}/{self.stream_id}"
        return self._client.build_request("GET", path, headers=self._position, params=params)

    @property
    def _position(self) -> dict[str, str]:
        return {} if self._last_id is None else {"last-event-id": self._last_id}

    async def _read_once(self, request: httpx.Request) -> bool:
        """Read one response. Return True if there is nothing more to read."""
        try:
            response = await self._client.send(request, stream=True)
            try:
                if response.status_code in _AWAY:
                    await look_again()
                    return False
                if response.status_code == 204:
                    return True
                assert response.status_code == 200, await response.aread()
                await self._read(response)
            finally:
                await response.aclose()
        except httpx.TransportError:
            await look_again()
            return False
        return not self._dialect.bears_ids

    async def _read(self, response: httpx.Response) -> None:
        self.connections += 1
        self.stream_id = response.headers["sluice-stream-id"]
        half = b""
        if not self._dialect.bears_ids:
            self.told = b""
        async for received in response.aiter_raw():
            if self._dialect.bears_ids:  # an incomplete frame is not received, nor is its id
                received, end, half = (half + received).rpartition(b"\n\n")
                received += end
                for line in received.split(b"\n"):
                    if line.startswith(b"id: "):
                        self._last_id = line[4:].decode()
            self.told += received
            self._grown.set()
            self._grown = asyncio.Event()


class RepeatingReader(ReturningReader):
    """Returns by sending its POST again with its Idempotency-Key, as fetch-event-source does."""

    def _asking(self) -> httpx.Request:
        request = super()._asking()
        request.headers["idempotency-key"] = self.question
        return request

    def _returning(self) -> httpx.Request:
        request = self._asking()
        request.headers.update(self._position)
        return request


class ChatReader(ReturningReader):
    """Reads in the AI SDK's chat whose id is the question: it returns to the chat's running reply."""

    def _asking(self) -> httpx.Request:
        message = {"id": "m1", "role": "user", "parts": [{"type": "text", "text": self.question}]}
        body = {"id": self.question, "messages": [message], "trigger": "submit-message"}
        headers = {"sluice-resumable": "1"}
        return self._client.build_request("POST", "/api/chat", json=body, headers=headers)

    def _returning(self) -> httpx.Request:
        return self._client.build_request("GET", f"/api/chat/{self.question}/stream")
