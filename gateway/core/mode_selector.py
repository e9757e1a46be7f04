"""Chooses the transport of each reply: that of the configured mode, or in mode auto the first healthy one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from gateway.contract.content import Kind
from gateway.contract.embeddings import Embeddings, EmbedRequest
from gateway.contract.errors import NotSupported, TimedOut, TransportError, Unprocessable
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Abilities, Health, ServerInfo, Transport, TransportInfo
from gateway.core.breaker import Breaker, State
from gateway.core.failover import Route

AUTO = "auto"
MODES = ("sse", "mqtt", AUTO)

Answer = TypeVar("Answer")


class ModeSelector:
    """Chooses transports by mode.

    Attributes:
        mode: read at each new reply, and may be set at any time: a reply that has its route keeps it.

    Args:
        transports: by mode ("sse", "mqtt").
        mode: "auto" or a key of `transports`; the latter always uses that transport, without a breaker.
        breakers: of the transports that mode auto may use, the preferred one first.
        refuse_unknown_models: True refuses a model that no transport lists.
    """

    def __init__(
        self,
        transports: Mapping[str, Transport],
        mode: str,
        *,
        breakers: Mapping[str, Breaker] | None = None,
        refuse_unknown_models: bool = False,
    ) -> None:
        self._transports = transports
        self._breakers = breakers or {}
        self._refuse_unknown_models = refuse_unknown_models
        self.mode = mode

    def route(self, model: str | None) -> Route:
        """Choose the transport for a new reply. Raises TransportError if none can start one, Unprocessable
        for an unknown model."""
        self._refuse_unknown(model)
        if self.mode != AUTO:
            transport = self._transports[self.mode]
            return Route(transport, _admit(transport, model), mode=self.mode)
        return self._healthiest(model, self._in_order(model))

    def transport_named(self, mode: str) -> Transport | None:
        """Return the transport of this mode; None if it is not set up."""
        return self._transports.get(mode)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Get vectors. Mode auto asks its transports in order until one makes embeddings.

        Raises NotSupported if none does, and otherwise the error of the first one that does: another one may
        have another model, whose vectors cannot be compared.
        """
        return await self._answered(request, lambda able: able.embed(request))

    async def count_tokens(self, request: ChatRequest) -> int:
        """Return the number of prompt tokens of the request. Mode auto asks as for embeddings."""
        return await self._answered(request, lambda able: able.count_tokens(request))

    async def _answered(
        self, request: EmbedRequest | ChatRequest, ask: Callable[[Abilities], Awaitable[Answer]]
    ) -> Answer:
        model = request.model
        self._refuse_unknown(model)
        names = [self.mode] if self.mode != AUTO else self._in_order(model)
        unable: list[str] = []
        for name in names:
            try:
                async with asyncio.timeout(request.deadline_s) as deadline:
                    return await ask(self._transports[name].abilities)
            except NotSupported as error:
                unable.append(str(error))
            except TimeoutError as error:
                if not deadline.expired():
                    raise
                raise TimedOut(f"There was no answer within {request.deadline_s:g} s.") from error
        raise NotSupported("; ".join(unable) or "No model server or worker can do that.")

    def context(self) -> int | None:
        """Return the tokens of a conversation in the current mode, None while unknown.

        In mode auto: of the first transport that reports them.
        """
        names = [self.mode] if self.mode != AUTO else list(self._breakers)
        told = (self._transports[name].abilities.context() for name in names)
        return next((tokens for tokens in told if tokens), None)

    def accepts(self) -> frozenset[Kind]:
        """Return the kinds of content besides text that a transport of the current mode accepts."""
        names = [self.mode] if self.mode != AUTO else list(self._breakers)
        return frozenset().union(*(self._transports[name].abilities.accepts() for name in names))

    def models(self) -> tuple[str, ...]:
        """Return the models available in the current mode, the default first."""
        if self.mode != AUTO:
            return tuple(self._models_of(self.mode))
        healthy_first = sorted(self._breakers, key=lambda name: not self._can_start(name))
        return tuple(dict.fromkeys(model for name in healthy_first for model in self._models_of(name)))

    def servers(self) -> list[ServerInfo]:
        """Return the model servers of all transports that choose between several."""
        return [server for each in self._transports.values() for server in each.abilities.servers()]

    def breakers(self) -> dict[str, State]:
        """Return the breaker state of each transport that mode auto may use; empty in other modes."""
        if self.mode != AUTO:
            return {}
        return {name: breaker.state for name, breaker in self._breakers.items()}

    def missing_for(self, mode: str) -> str | None:
        """Return the missing part without which the mode cannot be used at all; None if it is set up."""
        if self._breakers if mode == AUTO else mode in self._transports:
            return None
        return "MQTT_BROKER_HOST is empty: set it, and restart the gateway"

    async def health(self) -> Health:
        """Return the health of the current mode: see `health_of`."""
        return await self.health_of(self.mode)

    async def health_of(self, mode: str) -> Health:
        """Return the health of a mode, which need not be the current one. Mode auto is ok if one of its
        transports is; `detail` lists all of them."""
        missing = self.missing_for(mode)
        if missing is not None:
            return Health(False, missing)
        if mode != AUTO:
            return await self._transports[mode].abilities.health()
        found = await asyncio.gather(*map(self.health_of, self._breakers))
        able = False
        told: list[str] = []
        for (name, breaker), health in zip(self._breakers.items(), found, strict=True):
            able = able or (health.ok and breaker.state != "open")
            told.append(f"{name}: {health.detail} (breaker {breaker.state})")
        return Health(able, "; ".join(told))

    def _refuse_unknown(self, model: str | None) -> None:
        if self._refuse_unknown_models and model is not None and model not in self.models():
            raise Unprocessable(f"The model {model!r} does not exist.", {"model": "unknown"})

    def _in_order(self, model: str | None) -> Sequence[str]:
        """Return the transports that mode auto may use: first those that list the model, then the others,
        unless unknown models are refused."""
        if model is None:
            return list(self._breakers)
        listing = [name for name in self._breakers if model in self._models_of(name)]
        if self._refuse_unknown_models:
            return listing
        return [*listing, *(name for name in self._breakers if name not in listing)]

    def _healthiest(self, model: str | None, names: Sequence[str]) -> Route:
        """Return the route to the first of these transports that could start a reply now.

        If none could, raises one error with the texts of all; its type and retry_after_s are those of the
        error with the shortest retry_after_s.
        """
        refusals: list[TransportError] = []
        for name in names:
            breaker = self._breakers[name]
            transport = self._transports[name]
            try:
                breaker.check()
                info = _admit(transport, model)
            except TransportError as refusal:
                refusals.append(refusal)
                continue
            others = [other for other in names if other != name]
            onward = partial(self._onward, model, others)
            return Route(transport, info, breaker.trial, onward, breaker.blame, AUTO)
        soonest = min(refusals, key=_retry_after_s)
        raise type(soonest)("; ".join(map(str, refusals)), retry_after_s=soonest.retry_after_s)

    def _onward(self, model: str | None, names: Sequence[str]) -> Route | None:
        try:
            return self._healthiest(model, names) if names else None
        except TransportError:
            return None

    def _can_start(self, name: str) -> bool:
        try:
            self._breakers[name].check()
            _admit(self._transports[name], None)
        except TransportError:
            return False
        return True

    def _models_of(self, name: str) -> Sequence[str]:
        return self._transports[name].abilities.models()


def _admit(transport: Transport, model: str | None) -> TransportInfo:
    return transport.abilities.admit(model) or transport.info


def _retry_after_s(refusal: TransportError) -> float:
    return float("inf") if refusal.retry_after_s is None else refusal.retry_after_s
