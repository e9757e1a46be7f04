"""Administrators' rules for workers. They are kept in the database and apply again after a restart."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.contract.audit import Actor, Change
from gateway.contract.errors import NotFound
from gateway.contract.kept_settings import KeptSetting, KeptSettings
from gateway.contract.record import replace
from gateway.contract.transport import NO_RULE, Abilities, WorkerInfo, WorkerRule

log = logging.getLogger("sluice.workers")

PREFIX = "worker/"
"""Beginning of the names of the KeptSettings. A value has the members of WorkerRule."""


@dataclass(frozen=True, slots=True)
class RuledWorker:
    """A worker and its rule.

    Attributes:
        info: None for a worker that is not there.
        kept: the rule as it is stored; None without one.
    """

    name: str
    rule: WorkerRule
    info: WorkerInfo | None
    kept: KeptSetting | None


class WorkerRules:
    """Keeps the rules, and applies them to the transports.

    Args:
        abilities: of all transports.
        settings: the store of the rules.
    """

    def __init__(self, abilities: Callable[[], Iterable[Abilities]], settings: KeptSettings) -> None:
        self._abilities = abilities
        self._settings = settings
        self._changing = asyncio.Lock()
        self._kept: Mapping[str, KeptSetting] = {}

    def workers(self) -> Sequence[RuledWorker]:
        """Return all workers that are there or have a rule, by name."""
        infos = {worker.name: worker for each in self._abilities() for worker in each.workers()}
        return [
            RuledWorker(name, _rule_of(self._kept.get(name)), infos.get(name), self._kept.get(name))
            for name in sorted({*infos, *self._kept})
        ]

    async def change(
        self,
        name: str,
        actor: Actor,
        *,
        disabled: bool | None = None,
        max_requests: int | Literal["unchanged"] | None = "unchanged",
    ) -> RuledWorker:
        """Change a worker's rule. Its running requests go on.

        Args:
            disabled: None leaves it as it is.
            max_requests: None removes this limit.

        Raises NotFound for a worker that is not there and has no rule, StorageFailed without a change.
        """
        async with self._changing:
            known = self._find(name)
            if known is None:
                raise NotFound("No such worker.")
            rule = known.rule
            if disabled is not None:
                rule = replace(rule, disabled=disabled)
            if max_requests != "unchanged":
                rule = replace(rule, max_requests=max_requests)
            value = {"disabled": rule.disabled, "max_requests": rule.max_requests}
            change = Change(actor, "worker.change", name, value)
            others = {other: kept for other, kept in self._kept.items() if other != name}
            if rule == NO_RULE:
                await self._settings.remove(PREFIX + name, change)
                self._apply(others)
            else:
                self._apply(others | {name: await self._settings.put(PREFIX + name, value, change)})
        return self._find(name) or RuledWorker(name, NO_RULE, None, None)

    async def reload(self) -> None:
        """Apply the rules in the database, which another process may have changed since the last call."""
        async with self._changing:
            kept = {
                setting.name.removeprefix(PREFIX): setting
                for setting in await self._settings.all()
                if setting.name.startswith(PREFIX)
            }
            if kept != self._kept:
                self._apply(kept)
                log.info("rules for workers: %s", ", ".join(map(_described, kept.values())) or "none")

    def _find(self, name: str) -> RuledWorker | None:
        return next((worker for worker in self.workers() if worker.name == name), None)

    def _apply(self, kept: Mapping[str, KeptSetting]) -> None:
        self._kept = kept
        rules = {name: _rule_of(setting) for name, setting in kept.items()}
        for each in self._abilities():
            each.rule_workers(rules)


def _rule_of(kept: KeptSetting | None) -> WorkerRule:
    if kept is None:
        return NO_RULE
    return WorkerRule(bool(kept.value.get("disabled")), kept.value.get("max_requests"))


def _described(kept: KeptSetting) -> str:
    rule = _rule_of(kept)
    limit = "" if rule.max_requests is None else f" at most {rule.max_requests} requests"
    return f"{kept.name.removeprefix(PREFIX)}{' disabled' if rule.disabled else ''}{limit} by {kept.set_by}"
