"""Naive relay for MQTT: FastAPI, aiomqtt and a queue per reply; one worker, and lost frames go unnoticed."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import aiomqtt
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

WORKER = "sluice/v1/workers/bench-worker/inbox"
REPLIES = "sluice/v1/gateways/naive/replies/bench-worker"


class Message(BaseModel):
    role: str
    content: str


class Chat(BaseModel):
    model: str = "fake"
    messages: list[Message]
    stream: bool = True


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.replies = {}
    async with aiomqtt.Client("127.0.0.1", int(os.environ["BROKER_PORT"]), identifier="naive") as client:
        # aiomqtt's default of 10 pending calls would log a warning in every busy second, so it is lifted.
        client.pending_calls_threshold = 10_000
        app.state.client = client
        await client.subscribe(REPLIES, qos=1)
        reader = asyncio.create_task(read(client, app.state.replies))
        yield
        reader.cancel()


async def read(client: aiomqtt.Client, replies: dict[str, asyncio.Queue]) -> None:
    async for message in client.messages:
        frame = json.loads(message.payload)
        if queue := replies.get(frame["id"]):
            queue.put_nowait(frame)


app = FastAPI(lifespan=lifespan)


async def events(chat: Chat) -> AsyncIterator[dict[str, str]]:
    id = uuid4().hex
    queue = app.state.replies[id] = asyncio.Queue()
    request = {"v": 1, "type": "request", "id": id, "reply_to": REPLIES, "stream": True, **chat.model_dump()}
    try:
        await app.state.client.publish(WORKER, json.dumps(request), qos=1)
        while True:
            frame = await queue.get()
            if frame["type"] in ("chunk", "reply"):
                yield {"type": "chunk", "content": frame["text"]}
            if frame["type"] in ("end", "reply", "error"):
                break
    finally:
        del app.state.replies[id]
    yield {"type": "done"}


@app.post("/v1/chat/completions")
async def answer(chat: Chat) -> StreamingResponse:
    async def frames() -> AsyncIterator[str]:
        async for event in events(chat):
            yield f"data: {json.dumps(event)}\n\n"

    return StreamingResponse(frames(), media_type="text/event-stream")
