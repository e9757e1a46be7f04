"""The transport `sse`: one HTTP request per reply, to llama.cpp's server or another one with OpenAI's API."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import msgspec

from gateway.contract.accepted_kinds import ALL_KINDS, check_accepts, check_kinds, kinds_of
from gateway.contract.embeddings import Embeddings, EmbedRequest
from gateway.contract.errors import (
    Interrupted,
    ModelRefused,
    ProtocolViolation,
    RequestRejected,
    TimedOut,
    TransportError,
    Unreachable,
    UpstreamFailed,
)
from gateway.contract.events import Done
from gateway.contract.reattach import Handle, Reattach, Reattachable
from gateway.contract.requests import ChatRequest
from gateway.contract.server_urls import model_server_root
from gateway.contract.transport import Abilities, Health, Hear, TransportInfo
from transports.llama.chat_completion import completion_of
from transports.llama.client import Connect, ModelServerClient, whole_body
from transports.llama.continued_stream import ContinuedStream, begun_over_losses, read_over_losses
from transports.llama.embeddings import embeddings_of
from transports.llama.failures import before_answer, health_problem
from transports.llama.health_log import HealthLog
from transports.llama.health_watch import HealthWatch
from transports.llama.http_exchange import HttpExchange
from transports.llama.kept_streams import KeptStreams, conversation_header, conversation_in
from transports.llama.replies import LINGER_S, MAX_ANSWER_BYTES, reply_in
from transports.llama.server_properties import accepts_told, context_told, models_told, slots_told
from transports.llama.token_counts import tokens_in

PROBE_S = 2.0
FIRST_CHECK_S = 1.0


class LlamaTransport:
    """Streams chat completions from a server with OpenAI's API. Raises ValueError if `url` is not valid.

    Args:
        url: the server's URL, with or without `/v1` at its end.
        api_key: visible ASCII.
        idle_s: longest silence in seconds before the response's head, which a queued request gets only when
            a slot is free, and between two reads of its body. llama.cpp's pings end a silence.
        connect_s: deadline for connecting, in seconds.
        linger_s: how long to wait for more data after a finish reason, in seconds: a server that neither
            sends `[DONE]` nor closes would keep the reply open until idle_s.
        setting: name of the setting that holds `url`. Health then names both, and the log says when the
            server becomes unreachable and when it is ready again.
        connect: opens connections; None for TCP or TLS.
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
        connect: Connect | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._root = root = model_server_root(url)
        self._setting = setting
        self._watch = HealthWatch(self._learn, HealthLog(setting, root), sleep)
        self._client = ModelServerClient(
            root, api_key=api_key, connect_s=connect_s, idle_s=idle_s, connect=connect
        )
        # Nothing arrives while embeddings are made: only the request's deadline ends the wait.
        self._patient_client = ModelServerClient(root, api_key=api_key, connect_s=connect_s, connect=connect)
        self._streams = KeptStreams(self._client)
        self._learning = asyncio.Lock()
        self._health_checks = 0
        self._detail = ""
        self._linger_s = linger_s
        self._models: tuple[str, ...] = ()
        self._is_llama_cpp = False
        self._accepts = ALL_KINDS
        self._context: int | None = None
        self.abilities = Abilities(
            health=self.health,
            models=self.models,
            check=self.check,
            slots=self.total_slots,
            accepts=lambda: self._accepts,
            context=lambda: self._context,
            embed=self.embed,
            count_tokens=self.count_tokens,
            reattach=self.reattach,
            stop=self.stop,
        )

    @property
    def info(self) -> TransportInfo:
        return TransportInfo(name="sse", granularity="token")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with contextlib.closing(self._client):
            async with self._streams.running(), asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._watch.run(), name="llama models")
                try:
                    yield
                finally:
                    watching.cancel()

    async def answer(self, request: ChatRequest, hear: Hear) -> Done:
        """See Transport.answer. A cancelled reply's connection is closed, and a kept stream is stopped."""
        kinds = kinds_of(request)
        check_kinds(kinds, self._accepts)  # all kinds before the first /props, or what an earlier model took
        # Encoding a large image takes long, so it is done in a thread.
        body = await asyncio.to_thread(self._body_of, request) if kinds else self._body_of(request)
        kept = request.reattachable
        if kept is not None and not await self._keeps_streams():
            kept = None
        try:
            exchange = await self._ask(request, body, kept)
            try:
                read_kept = None if kept is None else read_over_losses(self._streams, kept)
                return await reply_in(exchange, hear, self._linger_s, read_kept)
            except UpstreamFailed:
                # llama.cpp answers 500 for an image that its model cannot take.
                if kinds:
                    await self.total_slots()
                    check_kinds(kinds, self._accepts)
                raise
            finally:
                exchange.close()
        except RequestRejected:
            raise
        except Unreachable:
            self._watch.doubt()
            raise
        except BaseException:
            if kept is not None:
                self._stop(kept)
            raise

    async def _ask(self, request: ChatRequest, body: bytes, kept: Reattachable | None) -> HttpExchange:
        path = b"/v1/completions" if request.raw else b"/v1/chat/completions"
        if kept is None:
            with before_answer:
                return await self._client.post(path, body, request.trace)
        id = kept.conversation_id
        asked = self._client.post(path, body, request.trace, conversation_header(id))
        kept.at_checkpoints(lambda: {})  # llama.cpp keeps it from now on, also in its queue
        return await begun_over_losses(self._streams, id, asked)

    async def reattach(self, wanted: Reattach, hear: Hear) -> Done:
        """See Abilities."""
        id = conversation_in(wanted.handle)
        stream = ContinuedStream(self._streams, id, wanted, hear, self._linger_s)
        try:
            async with asyncio.timeout(wanted.find_within_s) as finding:
                await self._learn_if_unknown()
                return await stream.done(found=lambda: finding.reschedule(None))
        except TimeoutError as error:
            raise TimedOut("the model server does not answer") from error
        except asyncio.CancelledError:  # after any other error the caller tries again
            self._stop(wanted.reattachable)
            raise

    async def _learn_if_unknown(self) -> None:
        """Find out whether the server keeps streams. Raises Unreachable if it does not answer."""
        if not await self._keeps_streams() and self._streams.are_kept is None:
            before = self._health_checks
            async with self._learning:  # of many replies one asks
                if self._health_checks == before:
                    await self._learn()
            if self._streams.are_kept is None:
                raise Unreachable(f"the model server is not ready: {self._detail}")

    def stop(self, handle: Handle, epoch: int) -> None:
        """See Abilities."""
        with contextlib.suppress(Interrupted):  # the handle is not one of this transport
            if self._streams.are_kept is not False:
                self._streams.stop(conversation_in(handle))

    def _stop(self, kept: Reattachable) -> None:
        if not kept.is_left():
            self._streams.stop(kept.conversation_id)

    async def _keeps_streams(self) -> bool:
        """Return True if the server is known to keep streams. The first request waits for the first check."""
        if not self._watch.checked.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIRST_CHECK_S):
                    await self._watch.checked.wait()
        return bool(self._streams.are_kept)

    async def _learn(self) -> Health:
        """Check the health, and what a healthy server can do."""
        health = await self.health()
        self._health_checks += 1
        self._detail = health.detail
        if health.ok:
            await self.total_slots()
            if self._is_llama_cpp:
                await self._streams.learn()
            else:
                self._streams.are_kept = False
        return health

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """See Abilities. The caller sets the deadline."""
        return await embeddings_of(self._patient_client, request, self._name_for(request.model))

    async def count_tokens(self, request: ChatRequest) -> int:
        """See Abilities. Counts with llama.cpp's chat template."""
        return await tokens_in(self._client, request, self._completion_of(request))

    def models(self) -> Sequence[str]:
        return self._models

    def check(self, request: ChatRequest) -> None:
        """Raise UnsupportedContent for images or sound if the server has reported that it takes none."""
        check_accepts(request, self._accepts)

    async def health(self) -> Health:
        """Request `/health`, or `/v1/models` if the server has no `/health`, as Ollama."""
        late = False
        try:
            problem = await self._problem()
        except TimeoutError:
            problem, late = f"the model server did not answer within {PROBE_S:g} s", True
        if problem is None:
            return Health(True, "the model server is ready")
        named = problem if self._setting is None else f"{self._setting}={self._root}: {problem}"
        return Health(False, named, late)

    async def _problem(self) -> str | None:
        """Raises TimeoutError."""
        try:
            async with asyncio.timeout(PROBE_S):
                status, _ = await self._get(b"/health")
                if 200 < status < 500:
                    status = await self._learn_models()
                elif status == 200:
                    with contextlib.suppress(ProtocolViolation):
                        if await self._learn_models() in (401, 403):
                            status = 401
        except Unreachable as exc:
            return str(exc.__cause__ or exc)
        except TransportError as exc:
            return str(exc)
        return health_problem(status)

    async def total_slots(self) -> int | None:
        """Return llama.cpp's number of slots (concurrent replies), by `/props`; None if it reports none.

        Also stores the kinds of content that the model takes, and its context.
        """
        try:
            async with asyncio.timeout(PROBE_S):
                status, body = await self._get(b"/props")
        except (TimeoutError, TransportError):
            return None
        self._accepts = accepts_told(body) if status == 200 else ALL_KINDS
        self._context = context_told(body) if status == 200 else None
        return slots_told(body) if status == 200 else None

    def _body_of(self, request: ChatRequest) -> bytes:
        try:
            return msgspec.json.encode(self._completion_of(request))
        except UnicodeEncodeError as exc:
            raise ModelRefused("the conversation contains half a character (a lone surrogate)") from exc

    def _completion_of(self, request: ChatRequest) -> dict[str, Any]:
        return completion_of(request, self._name_for(request.model), is_llama_cpp=self._is_llama_cpp)

    def _name_for(self, model: str | None) -> str | None:
        """Return the name to send: the default if the server does not list the model. None sends no name."""
        return self._models[0] if self._models and model not in self._models else model

    async def _get(self, path: bytes) -> tuple[int, bytes]:
        with before_answer:
            exchange = await self._client.get(path)
            try:
                return exchange.status, await whole_body(exchange, MAX_ANSWER_BYTES)
            finally:
                exchange.close()

    async def _learn_models(self) -> int:
        """Request the list of models and store it. Returns the HTTP status."""
        status, body = await self._get(b"/v1/models")
        if status == 200:
            self._models, self._is_llama_cpp = models_told(body)
        return status
