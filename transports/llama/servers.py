"""Several model servers as one transport: each request goes to the least busy healthy one with its model."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from gateway.contract.accepted_kinds import check_accepts, kinds_of
from gateway.contract.content import Kind
from gateway.contract.crashing_requests import ask_again
from gateway.contract.embeddings import Embeddings, EmbedRequest
from gateway.contract.errors import Loading, Overloaded, TransportError, Unreachable
from gateway.contract.events import Done
from gateway.contract.reattach import Handle, Reattach
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Abilities, Health, Hear, ServerInfo, Transport, TransportInfo
from transports.llama.known_server import KnownServer
from transports.llama.reattached_server import note_server, reattached, that_may_have
from transports.llama.server_attempt import ServerAttempt
from transports.llama.transport import LlamaTransport
from transports.llama.whole_answers import embeddings_from, first_answer

FIRST_RETRY_S = 0.25
NO_KINDS: frozenset[Kind] = frozenset()


class LlamaServers:
    """Transport over several model servers. The first server's first model is the default.

    A request goes to the healthy server that lists its model and has the most free slots. If that fails
    before anything of the reply is visible, the request goes to another one, within the limit of
    `crashing_requests.ask_again`; also if it stops answering health checks while a reply waits there and
    another server could take that reply.

    Args:
        servers: each with its URL.
        changed: called when `models` or `slots` have changed.
        check_s: seconds between two checks of a healthy server; an unhealthy one is checked sooner.
        quiet: do not log changes of the servers' health.
        learns_embeds: find out which servers make embeddings, for `embeds`.
    """

    def __init__(
        self,
        servers: Iterable[tuple[str, Transport]],
        *,
        changed: Callable[[], None] = lambda: None,
        check_s: float = 5.0,
        quiet: bool = False,
        learns_embeds: bool = False,
    ) -> None:
        self._servers = [KnownServer(url, server, quiet=quiet) for url, server in servers]
        self._changed = changed
        self._check_s = check_s
        self._learns_embeds = learns_embeds
        self.abilities = Abilities(
            health=self.health,
            models=self.known_models,
            admit=self.admit,
            check=self.check,
            accepts=self.accepts,
            context=self.context,
            place_in_queue=self.place_in_queue,
            servers=self.list_servers,
            embed=self.embed,
            embeds=self.embeds,
            count_tokens=self.count_tokens,
            reattach=self.reattach,
            stop=self.stop,
        )

    @property
    def info(self) -> TransportInfo:
        return TransportInfo("sse", "token")

    @property
    def slots(self) -> int:
        """Slots of all healthy servers; 0 if there are none."""
        return sum(known.slots for known in self._well())

    def models(self) -> Sequence[str]:
        """Return the models of all healthy servers."""
        return list(dict.fromkeys(model for known in self._well() for model in known.models))

    def known_models(self) -> Sequence[str]:
        """Return the models of all servers, those of unhealthy ones last."""
        well_first = sorted(self._servers, key=lambda known: not known.well)
        return list(dict.fromkeys(model for known in well_first for model in known.models))

    def list_servers(self) -> Sequence[ServerInfo]:
        return [known.info for known in self._servers]

    async def health(self) -> Health:
        """Return the result of the latest checks. It names each unhealthy server."""
        servers = self.list_servers()
        away = [f"{server.url} is away: {server.detail}" for server in servers if not server.ok]
        ready = len(servers) - len(away)
        return Health(ready > 0, "; ".join([f"{ready} of {len(servers)} model servers are ready", *away]))

    def admit(self, model: str | None) -> TransportInfo:
        """Raise Unreachable if no server that could answer is healthy."""
        meant = self._meant(model)
        if self._choose(meant, ()) is None:
            raise self._nobody(meant)
        return self.info

    def accepts(self) -> frozenset[Kind]:
        """Return the kinds of content that at least one healthy server takes."""
        return frozenset().union(*(known.accepts for known in self._well()))

    def context(self) -> int | None:
        """Return the smallest context of the healthy servers that report one."""
        return min((known.context for known in self._well() if known.context), default=None)

    def check(self, request: ChatRequest) -> None:
        """Raise UnsupportedContent if no healthy server with the model takes the kinds of content."""
        able = self._able(self._meant(request.model), ())
        if able and self._choose(self._meant(request.model), (), kinds_of(request)) is None:
            check_accepts(request, max((known.accepts for known in able), key=len))

    def place_in_queue(self, model: str | None) -> int:
        """See Abilities. Requests of other clients to the same servers are not counted."""
        known = self._choose(self._meant(model), ())
        return max(0, 1 - known.room) if known is not None else 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """See Transport.running. Every server has been checked once when the block begins."""
        async with AsyncExitStack() as stack:
            for known in self._servers:
                await stack.enter_async_context(known.server.running())
            async with asyncio.TaskGroup() as tasks:
                for known in self._servers:
                    tasks.create_task(self._check(known))
            self._changed()
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            watching = [tasks.create_task(self._watch(known)) for known in self._servers]
            try:
                yield
            finally:
                for task in watching:
                    task.cancel()

    async def answer(self, request: ChatRequest, hear: Hear) -> Done:
        model = self._meant(request.model)
        asked = replace(request, model=model)
        kinds = kinds_of(request)
        passed_over: list[KnownServer] = []
        while True:
            known = self._choose(model, passed_over, kinds)
            if known is None:
                self.check(request)
                raise self._nobody(model)
            attempt = ServerAttempt(known, asked, hear, passed_over)
            try:
                return await attempt.answer()
            except TransportError as error:
                is_away = error.broke_off > 0 or isinstance(error, Unreachable | Loading)
                if is_away:
                    known.doubt()
                if attempt.seen or not (is_away or isinstance(error, Overloaded)):
                    raise
                asked = ask_again(asked, error)
                passed_over.append(known)
                next_one = self._choose(model, passed_over, kinds)
                note_server(asked, next_one)
                if next_one is None:
                    error.broke_off = asked.broke_off - request.broke_off
                    raise

    async def reattach(self, wanted: Reattach, hear: Hear) -> Done:
        """See Abilities, and reattached."""
        return await reattached(self._servers, wanted, hear)

    def stop(self, handle: Handle, epoch: int) -> None:
        """See Abilities. Asks all servers that may have the reply."""
        for known in that_may_have(self._servers, handle):
            known.server.abilities.stop(handle, epoch)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """See Abilities, and embeddings_from."""
        return await embeddings_from(self._servers, request)

    def embeds(self) -> bool:
        """Return True if a healthy server is known to make embeddings."""
        return any(known.embeds for known in self._well())

    async def _check(self, known: KnownServer) -> None:
        await known.check()
        if self._learns_embeds:
            await known.learn_embeds()

    async def count_tokens(self, request: ChatRequest) -> int:
        """See Abilities."""
        model = self._meant(request.model)
        able = self._able(model, ())
        if not able:
            raise self._nobody(model)
        return await first_answer(
            able,
            replace(request, model=model),
            lambda known, asked: known.server.abilities.count_tokens(asked),
        )

    def _nobody(self, model: str | None) -> Unreachable:
        return Unreachable(f"no server of {model or 'a model'} is ready", retry_after_s=self._check_s)

    def _well(self) -> list[KnownServer]:
        return [known for known in self._servers if known.well]

    def _meant(self, model: str | None) -> str | None:
        """Return `model` if a server lists it, healthy or not; else the default, None if that has no name."""
        if any(model in known.models for known in self._servers):
            return model
        return next((known.models[0] for known in self._well()[:1] if known.models), None)

    def _choose(
        self,
        meant: str | None,
        passed_over: Sequence[KnownServer],
        kinds: frozenset[Kind] = NO_KINDS,
    ) -> KnownServer | None:
        """Return the healthy server with the model and kinds that has the most room; of equals the first.

        One at which a reply has just broken off, or that did not answer its latest check, comes last.
        """
        fitting = [known for known in self._able(meant, passed_over) if kinds <= known.accepts]
        return max(fitting, key=lambda known: (not known.is_doubted, known.room), default=None)

    def _able(self, meant: str | None, passed_over: Sequence[KnownServer]) -> list[KnownServer]:
        return [known for known in self._well() if known not in passed_over and known.lists(meant)]

    async def _watch(self, known: KnownServer) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            pause_s = self._check_s if known.well and not known.is_doubted else retry_s
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s * random.uniform(0.8, 1.2)):
                    await known.doubted.wait()
            said = (self.models(), self.slots, self.embeds())
            await self._check(known)
            retry_s = FIRST_RETRY_S if known.well else min(2 * retry_s, self._check_s)
            if (self.models(), self.slots, self.embeds()) != said:
                self._changed()
            if known.silent:
                self._move_replies_from(known)

    def _move_replies_from(self, silent: KnownServer) -> None:
        for waiting in list(silent.waiting):
            request = waiting.request
            if self._choose(request.model, waiting.passed_over, kinds_of(request)) is not None:
                waiting.give_up()


def transport_to(
    urls: Sequence[str],
    *,
    api_key: str | None,
    idle_s: float,
    connect_s: float,
    setting: str | None,
    traced: Callable[[Transport, str], Transport] = lambda transport, _: transport,
) -> Transport:
    """Return the transport to one model server, or to several as one. See LlamaTransport for the arguments.

    Args:
        urls: of the servers.
        api_key: for all of them.
        idle_s, connect_s: for all of them.
        setting: None: do not log changes of the servers' health.
        traced: puts the spans of traces around the transport to one server, of this URL.
    """
    if len(urls) == 1:
        single = LlamaTransport(urls[0], api_key=api_key, idle_s=idle_s, connect_s=connect_s, setting=setting)
        return traced(single, urls[0])
    servers = [
        (url, traced(LlamaTransport(url, api_key=api_key, idle_s=idle_s, connect_s=connect_s), url))
        for url in urls
    ]
    return LlamaServers(servers, quiet=setting is None)
