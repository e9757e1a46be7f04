"""Several model servers as one transport: whichever is well and has the model answers."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

from gateway.contract.errors import Loading, Overloaded, TransportError, Unreachable
from gateway.contract.events import Done, TransportEvent
from gateway.contract.requests import ChatRequest
from gateway.contract.suspects import ask_again
from gateway.contract.transport import Abilities, Health, Hear, Transport, TransportInfo

log = logging.getLogger("sluice.servers")

FIRST_RETRY_S = 0.25
SLOTS_UNTOLD = 4
"""Replies at a time of a server that is not llama.cpp's and does not tell."""


class KnownServer:
    """One server as last seen. open: our replies there. models, slots: kept while it is away."""

    def __init__(self, url: str, server: Transport) -> None:
        self.url = url
        self.server = server
        self.health: Health | None = None
        self.models: Sequence[str] = ()
        self.slots = 0
        self.open = 0
        self.doubted = asyncio.Event()

    @property
    def well(self) -> bool:
        return self.health is not None and self.health.ok

    @property
    def room(self) -> int:
        return self.slots - self.open

    async def check(self) -> None:
        """Ask how it is; never raises, takes a few seconds at most."""
        self.doubted.clear()
        server = self.server.abilities
        health = await server.health()
        if health.ok:
            # Asked each time, since it may have been restarted with others between two checks.
            self.slots = await server.slots() or SLOTS_UNTOLD
            self.models = server.models()
        was, self.health = self.health, health
        if not health.ok and (was is None or was.ok):
            log.warning("%s is away: %s", self.url, health.detail)
        elif health.ok and was is not None and not was.ok:
            names = ", ".join(self.models) or "whatever is asked for"
            log.info("%s is ready; slots: %d; models: %s", self.url, self.slots, names)


class LlamaServers:
    """A Transport over `servers`, by their URLs; the first one's first model is the default.

    A request for a model goes to the server with the most free slots among those that are well and list it;
    one that refuses or hangs up before its answer begins is passed over. changed: called when `models` or
    `slots` say something new. check_s: between two looks at a server that is well; one that is away is asked
    sooner.
    """

    def __init__(
        self,
        servers: Iterable[tuple[str, Transport]],
        *,
        changed: Callable[[], None] = lambda: None,
        check_s: float = 5.0,
    ) -> None:
        self.servers = [KnownServer(url, server) for url, server in servers]
        self._changed = changed
        self._check_s = check_s
        self.abilities = Abilities(health=self.health, models=self.models, place_in_queue=self.place_in_queue)

    @property
    def info(self) -> TransportInfo:
        return TransportInfo("sse", "token")

    @property
    def slots(self) -> int:
        """Of all servers that are well; 0 when none is."""
        return sum(known.slots for known in self._well())

    def models(self) -> Sequence[str]:
        """Of all servers that are well."""
        return list(dict.fromkeys(model for known in self._well() for model in known.models))

    async def health(self) -> Health:
        well = len(self._well())
        return Health(well > 0, f"{well} of {len(self.servers)} model servers are ready")

    def place_in_queue(self, model: str | None) -> int:
        """See Abilities; what others than we ask of the same servers is not known here."""
        known = self._choose(self._meant(model), ())
        return max(0, 1 - known.room) if known is not None else 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Every server has been asked once when the block begins."""
        async with AsyncExitStack() as stack:
            for known in self.servers:
                await stack.enter_async_context(known.server.running())
            async with asyncio.TaskGroup() as tasks:
                for known in self.servers:
                    tasks.create_task(known.check())
            self._changed()
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            watching = [tasks.create_task(self._watch(known)) for known in self.servers]
            try:
                yield
            finally:
                for task in watching:
                    task.cancel()

    async def answer(self, request: ChatRequest, hear: Hear) -> Done:
        model = self._meant(request.model)
        asked = replace(request, model=model)
        heard = False

        def hear_first(events: Sequence[TransportEvent]) -> Awaitable[None] | None:
            nonlocal heard
            heard = True
            return hear(events)

        refused: list[KnownServer] = []
        while True:
            known = self._choose(model, refused)
            if known is None:
                raise Unreachable(f"no server of {model or 'a model'} is ready", retry_after_s=self._check_s)
            known.open += 1
            try:
                return await known.server.answer(asked, hear_first)
            except TransportError as error:
                if heard:
                    raise
                if error.broke_off or isinstance(error, Unreachable | Loading):
                    known.doubted.set()
                elif not isinstance(error, Overloaded):
                    raise
                asked = ask_again(asked, error)
                refused.append(known)
                if self._choose(model, refused) is None:
                    error.broke_off = asked.broke_off - request.broke_off
                    raise
            finally:
                known.open -= 1

    def _well(self) -> list[KnownServer]:
        return [known for known in self.servers if known.well]

    def _meant(self, model: str | None) -> str | None:
        """The model itself if a server lists it, away or not; else the default: None if that has no name."""
        if any(model in known.models for known in self.servers):
            return model
        return next((known.models[0] for known in self._well()[:1] if known.models), None)

    def _choose(self, meant: str | None, refused: Sequence[KnownServer]) -> KnownServer | None:
        """The one with the most room that is well and has the model; of equals the first."""
        fitting = [
            known
            for known in self._well()
            if known not in refused and (meant in known.models or (meant is None and not known.models))
        ]
        return max(fitting, key=lambda known: known.room, default=None)

    async def _watch(self, known: KnownServer) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            pause_s = self._check_s if known.well else retry_s
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s * random.uniform(0.8, 1.2)):
                    await known.doubted.wait()
            said = (self.models(), self.slots)
            await known.check()
            retry_s = FIRST_RETRY_S if known.well else min(2 * retry_s, self._check_s)
            if (self.models(), self.slots) != said:
                self._changed()
