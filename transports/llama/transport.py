"""The transport `sse`: one HTTP request per reply, to llama.cpp's server or any other that speaks its API."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, cast

import httpx
import msgspec

from gateway.contract.errors import (
    GatewayError,
    ModelRefused,
    ProtocolViolation,
    TransportError,
    Unprocessable,
    Unreachable,
)
from gateway.contract.events import Done
from gateway.contract.model_limits import check_request
from gateway.contract.requests import ChatRequest
from gateway.contract.server_urls import model_server_root
from gateway.contract.transport import Health, Hear, TransportInfo
from transports.llama.client import AsyncioTransport
from transports.llama.failures import before_answer, health_problem, in_answer, refusal
from transports.llama.http_exchange import HttpExchange
from transports.llama.offers import models_told, slots_told
from transports.llama.wire import ChunkParser

log = logging.getLogger("sluice.servers")

MAX_ANSWER_BYTES = 16 * 1024 * 1024
MAX_REFUSAL_BYTES = 64 * 1024
PROBE_S = 2.0
MODELS_FRESH_S = 60.0
MODELS_RETRY_S = 1.0
LINGER_S = 1.0
STREAM_TYPES = ("text/event-stream", "text/plain", "application/x-ndjson", "application/octet-stream")


class LlamaTransport:
    """Streams chat completions from `url`, with or without `/v1` at its end.

    connect_s: until a connection stands. idle_s: how long the server may be silent before the head of
    its answer, which a queued request gets only when a slot frees, and between two reads of its body,
    where llama.cpp's pings count as life. linger_s: how long to wait for more behind a finish reason; a
    server that neither says `[DONE]` nor closes would keep the reply open until idle_s. setting: the setting
    that holds `url`: health names both, and the log says when the server goes away and comes back. http: how
    requests travel; closed by whoever made it. ValueError if `url` is no address of a server.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        idle_s: float = 60.0,
        connect_s: float = 3.0,
        linger_s: float = LINGER_S,
        setting: str | None = None,
        http: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._root = root = model_server_root(url)
        self._setting = setting
        self._health: Health | None = None
        self._chat_url = httpx.URL(f"{root}/v1/chat/completions")
        self._headers = {"User-Agent": "sluice", "Content-Type": "application/json"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"
        timeout = {"connect": connect_s, "write": idle_s, "read": idle_s}
        self._extensions = {"timeout": timeout}
        self._http = http if http is not None else AsyncioTransport()
        self._sleep = sleep
        self._linger_s = linger_s
        self._models: tuple[str, ...] = ()
        self._is_llama_cpp = False

    @property
    def info(self) -> TransportInfo:
        return TransportInfo(name="sse", granularity="token")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch_models(), name="llama models")
            try:
                yield
            finally:
                watching.cancel()

    async def answer(self, request: ChatRequest, hear: Hear) -> Done:
        """See Transport.answer. Closing the connection is what frees llama.cpp's slot."""
        with before_answer:
            response = await self._http.handle_async_request(self._chat_request(request))
        try:
            if response.status_code != 200:
                raise await _refusal(response)
            content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if not content_type or content_type in STREAM_TYPES:
                return await _StreamedReply(response, hear, self._linger_s).done()
            if content_type == "application/json" or content_type.endswith("+json"):
                return await _whole_reply(response, hear)
            raise ProtocolViolation(f"the model server answered with {content_type}")
        finally:
            await response.aclose()

    def models(self) -> Sequence[str]:
        return self._models

    async def health(self) -> Health:
        """Asks `/health`, and `/v1/models` where a server has no such page, as Ollama has none."""
        problem = await self._problem()
        if problem is None:
            return Health(True, "the model server is ready")
        return Health(False, problem if self._setting is None else f"{self._setting}={self._root}: {problem}")

    async def _problem(self) -> str | None:
        try:
            async with asyncio.timeout(PROBE_S):
                status, _ = await self._get("/health")
                if 200 < status < 500:
                    status = await self._learn_models()
                elif status == 200:
                    with contextlib.suppress(ProtocolViolation):
                        if await self._learn_models() in (401, 403):
                            status = 401
        except TimeoutError:
            return f"the model server did not answer within {PROBE_S:g} s"
        except Unreachable as exc:
            return str(exc.__cause__ or exc)
        except TransportError as exc:
            return str(exc)
        return health_problem(status)

    async def total_slots(self) -> int | None:
        """How many replies llama.cpp makes at a time, by its `/props`; None where a server does not tell."""
        try:
            async with asyncio.timeout(PROBE_S):
                status, body = await self._get("/props")
        except (TimeoutError, TransportError):
            return None
        return slots_told(body) if status == 200 else None

    def _chat_request(self, request: ChatRequest) -> httpx.Request:
        try:
            check_request(request)  # also here: a worker's requests came through no door of ours
        except Unprocessable as error:
            raise ModelRefused(str(error)) from error
        sampling = request.sampling.as_json()
        body: dict[str, Any] = sampling.pop("options", {})
        if self._is_llama_cpp:  # others may refuse fields they do not know
            body.setdefault("return_progress", True)
        body |= sampling
        body["messages"] = [turn.as_json() for turn in request.turns]
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
        if self._models and request.model not in self._models:
            body["model"] = self._models[0]
        elif request.model is not None:
            body["model"] = request.model
        try:
            content = msgspec.json.encode(body)
        except UnicodeEncodeError as exc:
            raise ModelRefused("the conversation holds half of a surrogate pair, which is no text") from exc
        headers = self._headers if request.trace is None else self._headers | {"traceparent": request.trace}
        return httpx.Request(
            "POST", self._chat_url, headers=headers, content=content, extensions=self._extensions
        )

    async def _get(self, path: str) -> tuple[int, bytes]:
        request = httpx.Request("GET", self._root + path, headers=self._headers, extensions=self._extensions)
        with before_answer:
            response = await self._http.handle_async_request(request)
            try:
                return response.status_code, await _body(response, MAX_ANSWER_BYTES)
            finally:
                await response.aclose()

    async def _watch_models(self) -> None:
        retry_s = MODELS_RETRY_S
        while True:
            health = await self.health()
            self._tell(health)
            if health.ok:
                pause_s, retry_s = MODELS_FRESH_S, MODELS_RETRY_S
            else:
                pause_s, retry_s = retry_s, min(2 * retry_s, MODELS_FRESH_S)
            await self._sleep(pause_s * random.uniform(0.8, 1.2))

    def _tell(self, health: Health) -> None:
        was, self._health = self._health, health
        if self._setting is None:
            return
        if not health.ok and (was is None or was.ok):
            log.warning(
                "%s. Replies fail until a model server is there: start it, or correct %s",
                health.detail,
                self._setting,
            )
        elif health.ok and was is not None and not was.ok:
            log.info("%s=%s: the model server is ready", self._setting, self._root)

    async def _learn_models(self) -> int:
        """Ask which models there are; gives the HTTP status."""
        status, body = await self._get("/v1/models")
        if status == 200:
            self._models, self._is_llama_cpp = models_told(body)
        return status


class _StreamedReply:
    """Pushes the events of an answer that is a stream, those of one network read at once."""

    __slots__ = ("_hear", "_linger", "_linger_s", "_parser", "_stream")

    def __init__(self, response: httpx.Response, hear: Hear, linger_s: float) -> None:
        self._stream = cast(httpx.AsyncByteStream, response.stream)
        self._hear = hear
        self._linger_s = linger_s
        self._linger: asyncio.TimerHandle | None = None
        self._parser = ChunkParser()

    async def done(self) -> Done:
        """Return when the reply is complete."""
        parser = self._parser
        try:
            with in_answer:
                if isinstance(self._stream, HttpExchange):
                    await self._stream.push(self._receive)
                else:
                    async for received in self._stream:
                        if (busy := self._receive(received)) is not None:
                            await busy
                        if self._is_over:
                            break
        finally:
            if self._linger is not None:
                self._linger.cancel()
        if parser.done is None and (events := parser.eof()) and (busy := self._hear(events)) is not None:
            await busy
        return parser.completed()

    @property
    def _is_over(self) -> bool:
        return self._parser.done is not None or self._parser.failure is not None

    def _receive(self, received: bytes) -> Awaitable[None] | None:
        parser = self._parser
        events = parser.feed(received)
        busy = self._hear(events) if events else None
        if self._is_over:
            self._close()
        elif parser.finished and (events or self._linger is None):
            if self._linger is not None:
                self._linger.cancel()
            self._linger = asyncio.get_running_loop().call_later(self._linger_s, self._close)
        return busy

    def _close(self) -> None:
        if isinstance(self._stream, HttpExchange):
            self._stream.close()


async def _whole_reply(response: httpx.Response, hear: Hear) -> Done:
    """An answer that is one JSON object, as servers give that cannot stream."""
    parser = ChunkParser()
    with in_answer:
        events = parser.whole(await _body(response, MAX_ANSWER_BYTES))
    if events and (busy := hear(events)) is not None:
        await busy
    return parser.completed()


async def _body(response: httpx.Response, max_bytes: int) -> bytes:
    """The whole body; raises ProtocolViolation beyond `max_bytes`."""
    body = bytearray()
    async for received in cast(httpx.AsyncByteStream, response.stream):
        body += received
        if len(body) > max_bytes:
            raise ProtocolViolation(f"the model server's answer exceeds {max_bytes} bytes")
    return bytes(body)


async def _refusal(response: httpx.Response) -> GatewayError:
    body = b""
    with contextlib.suppress(httpx.RequestError, ProtocolViolation):  # the status says enough
        body = await _body(response, MAX_REFUSAL_BYTES)
    return refusal(response.status_code, response.headers.get("retry-after"), body)
