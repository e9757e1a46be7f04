"""A gateway process as the party under test, asked over HTTP."""

import asyncio
from asyncio import Task
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.plain_http import plain_http
from tests.web.event_source import EventSource

STREAM = "/messages/stream"


class HttpGateway:
    """A gateway that runs already, under `name`, at `url`; its mode is mqtt."""

    abilities: frozenset[str] = frozenset()

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._url = url
        self._http: httpx.AsyncClient
        self._tasks: asyncio.TaskGroup
        self._readings: list[Task[None]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with (
            plain_http(self._url, timeout=30) as self._http,
            asyncio.TaskGroup() as self._tasks,
        ):
            yield
            for reading in self._readings:
                reading.cancel()

    async def terminate(self) -> None:
        raise NotImplementedError

    def dropped(self) -> None:
        return None

    async def until_known(self, workers: set[str]) -> None:
        known: set[str] | None = None
        while known != workers:
            told = (await self._http.get("/api/chatbot/workers")).raise_for_status().json()
            known = {worker["name"] for worker in told if worker["state"] == "ready"}

    def embed(self, input: Any, model: str | None) -> "HttpReader":
        reader = HttpReader(self._http)
        body = {"input": input} | ({} if model is None else {"model": model})
        self._readings.append(self._tasks.create_task(reader.read_vectors(body)))
        return reader

    def ask(self, content: object, model: str | None) -> "HttpReader":
        reader = HttpReader(self._http)
        task = self._tasks.create_task(reader.read({"content": content, "model": model}))
        self._readings.append(task)
        return reader


class HttpReader:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._source = EventSource()
        self._refused: dict[str, Any] | None = None
        self._news = asyncio.Event()
        self._stream_id = ""

    @property
    def text(self) -> str:
        return self._source.text

    @property
    def told(self) -> list[dict[str, Any]]:
        return list(self._source.of_type("reasoning", "tool_call", "progress"))

    @property
    def last(self) -> dict[str, Any] | None:
        return self._refused or next(iter(self._source.ends), None)

    async def read(self, question: dict[str, Any]) -> None:
        # A refusal is JSON then; the stream is none all the same.
        wanted = {"accept": "application/json"}
        async with self._http.stream("POST", STREAM, json=question, headers=wanted) as response:
            if response.status_code != 200:
                await response.aread()
                self._refused = {"type": "error", "code": response.json()["code"]}
            else:
                self._stream_id = response.headers["sluice-stream-id"]
                half = b""
                async for received in response.aiter_raw():
                    half = self._source.take(half + received)
                    self._news.set()
        self._news.set()

    async def read_vectors(self, body: dict[str, Any]) -> None:
        response = await self._http.post("/v1/embeddings", json=body)
        told = response.json()
        if response.status_code == 200:
            tokens = (told["usage"] or {}).get("prompt_tokens")
            vectors = [item["embedding"] for item in told["data"]]
            self._refused = {"type": "vectors", "vectors": vectors, "prompt_tokens": tokens}
        else:
            self._refused = {"type": "error", "code": told["error"]["code"]}
        self._news.set()

    async def news(self) -> None:
        await self._news.wait()
        self._news.clear()

    async def stop(self) -> None:
        (await self._http.post(f"{STREAM}/{self._stream_id}/stop")).raise_for_status()
