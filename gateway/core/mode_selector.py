"""Which transport answers: the mode that operators chose, and in mode auto whoever is healthy."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from gateway.contract.errors import TransportError, Unprocessable
from gateway.contract.transport import Health, ServerInfo, Transport, TransportInfo
from gateway.core.breaker import Breaker, State
from gateway.core.failover import Route

AUTO = "auto"


class ModeSelector:
    """transports: by the mode that uses them ("sse", "mqtt"). breakers: of those that mode auto may ask, the
    preferred one first; the other modes ask their transport whatever happens, having nobody else.
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
        """Whom to ask for a new reply, and what to expect; TransportError when none could start."""
        if self._refuse_unknown_models and model is not None and model not in self.models():
            raise Unprocessable(f"The model {model!r} does not exist.", {"model": "unknown"})
        if self.mode != AUTO:
            transport = self._transports[self.mode]
            return Route(transport, _admit(transport, model))
        return self._healthiest(model, self._in_order(model))

    def models(self) -> tuple[str, ...]:
        """What can be asked for in the current mode, the default first."""
        if self.mode != AUTO:
            return tuple(self._models_of(self.mode))
        healthy_first = sorted(self._breakers, key=lambda name: not self._can_start(name))
        return tuple(dict.fromkeys(model for name in healthy_first for model in self._models_of(name)))

    def servers(self) -> list[ServerInfo]:
        """Every model server that a transport can choose from."""
        return [server for each in self._transports.values() for server in each.abilities.servers()]

    def breakers(self) -> dict[str, State]:
        """The state of each transport that mode auto may ask; empty in other modes."""
        if self.mode != AUTO:
            return {}
        return {name: breaker.state for name, breaker in self._breakers.items()}

    async def health(self) -> Health:
        """Whether the current mode can serve: in mode auto one of its transports, of which all are told."""
        if self.mode != AUTO:
            return await self.health_of(self.mode)
        found = await asyncio.gather(*map(self.health_of, self._breakers))
        able = False
        told: list[str] = []
        for (name, breaker), health in zip(self._breakers.items(), found, strict=True):
            able = able or (health.ok and breaker.state != "open")
            told.append(f"{name}: {health.detail} (breaker {breaker.state})")
        return Health(able, "; ".join(told))

    def _in_order(self, model: str | None) -> Sequence[str]:
        """Whom mode auto may ask: first those that list the model, then, where a model that nobody has may be
        answered by another one, the rest."""
        if model is None:
            return list(self._breakers)
        listing = [name for name in self._breakers if model in self._models_of(name)]
        if self._refuse_unknown_models:
            return listing
        return [*listing, *(name for name in self._breakers if name not in listing)]

    def _healthiest(self, model: str | None, names: Sequence[str]) -> Route:
        """The first of them that could start a reply now; what keeps all of them from it is raised as one."""
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
            return Route(transport, info, breaker.trial, onward, breaker.blame)
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

    async def health_of(self, name: str) -> Health:
        """Of one mode's transport, whichever is the current one."""
        transport = self._transports.get(name)
        if transport is None:
            return Health(False, "not set up")
        return await transport.abilities.health()


def _admit(transport: Transport, model: str | None) -> TransportInfo:
    return transport.abilities.admit(model) or transport.info


def _retry_after_s(refusal: TransportError) -> float:
    return float("inf") if refusal.retry_after_s is None else refusal.retry_after_s
