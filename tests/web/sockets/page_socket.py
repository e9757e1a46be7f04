"""A client of the AI SDK's WebSocket protocol, as strict as the package `ai` is."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.dialects.order import ai_sdk
from tests.dialects.order.frames import Heard

ENDS = ("end", "error", "no-active")


def user(said: str, id: str = "u1") -> dict[str, Any]:
    return {"id": id, "role": "user", "parts": [{"type": "text", "text": said}]}


class PageSocket:
    """frames: those that were received, by requestId."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.frames: dict[str, list[dict[str, Any]]] = defaultdict(list)

    async def send(self, request_id: str, said: str = "Hi", *, chat: str = "c1", **more: Any) -> None:
        frame = {
            "type": "send",
            "requestId": request_id,
            "id": chat,
            "trigger": "submit-message",
            "messages": [user(said)],
            "headers": {},
            "body": {},
        }
        await self.connection.send(json.dumps({**frame, **more}))

    async def resume(self, request_id: str, *, chat: str = "c1", **more: Any) -> None:
        frame = {"type": "resume", "requestId": request_id, "id": chat, "headers": {}, "body": {}}
        await self.connection.send(json.dumps({**frame, **more}))

    async def abort(self, request_id: str) -> None:
        await self.connection.send(json.dumps({"type": "abort", "requestId": request_id}))

    async def until(self, request_id: str, *types: str) -> dict[str, Any]:
        """Receive until a frame of the request has one of these types, or its chunk has."""
        while True:
            frame = json.loads(await self.connection.recv())
            self.frames[frame["requestId"]].append(frame)
            kinds = {frame["type"], frame.get("chunk", {}).get("type")} if types else {frame["type"]}
            if frame["requestId"] == request_id and kinds & set(types or ENDS):
                return dict(frame)

    async def until_closed(self) -> tuple[int, str]:
        """Receive until the server closes the socket. Return its code and reason."""
        try:
            while True:
                frame = json.loads(await self.connection.recv())
                self.frames[frame["requestId"]].append(frame)
        except ConnectionClosed as end:
            return (end.rcvd.code, end.rcvd.reason) if end.rcvd is not None else (1006, "")

    async def heard(self, request_id: str) -> Heard:
        """Receive to the end. Check the order of the frames and of the chunks."""
        if not any(frame["type"] in ENDS for frame in self.frames[request_id]):
            await self.until(request_id)
        frames = self.frames[request_id]
        assert [frame["type"] for frame in frames] == ["start", *["chunk"] * (len(frames) - 2), "end"]
        chunks = frames[1:-1]
        assert [chunk["sequence"] for chunk in chunks] == list(range(len(chunks)))
        told = [f"data: {json.dumps(chunk['chunk'])}\n\n" for chunk in chunks]
        return ai_sdk.hear("".join([*told, "data: [DONE]\n\n"]).encode())


def address(url: str) -> str:
    return url.replace("http", "ws", 1) + "/ws"


@asynccontextmanager
async def page_socket(url: str, query: str = "", **headers: str) -> AsyncIterator[PageSocket]:
    async with connect(address(url) + query, additional_headers=headers, max_size=None) as connection:
        yield PageSocket(connection)
