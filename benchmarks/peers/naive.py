"""Naive relay: FastAPI, httpx and a generator, without sessions, database or stop."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

MODEL_URL = "http://127.0.0.1:9100/v1/chat/completions"


class Message(BaseModel):
    role: str
    content: str


class Chat(BaseModel):
    model: str = "fake"
    messages: list[Message]
    stream: bool = True


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    # httpx's default of 100 connections would fail the 101st stream, so it is lifted.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    async with httpx.AsyncClient(timeout=None, limits=limits) as client:  # noqa: S113
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


async def events(chat: Chat) -> AsyncIterator[dict[str, str]]:
    async with app.state.client.stream("POST", MODEL_URL, json=chat.model_dump()) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if not line.startswith("data: "):
                continue
            data = line[6:]
            if data == "[DONE]":
                break
            chunk = json.loads(data)
            if not chunk["choices"]:
                continue
            content = chunk["choices"][0]["delta"].get("content")
            if content:
                yield {"type": "chunk", "content": content}
    yield {"type": "done"}


@app.post("/v1/chat/completions")
async def answer(chat: Chat) -> StreamingResponse:
    async def frames() -> AsyncIterator[str]:
        async for event in events(chat):
            yield f"data: {json.dumps(event)}\n\n"

    return StreamingResponse(frames(), media_type="text/event-stream")
