"""Starts the parts of a gateway in their order, and ends them in reverse."""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gateway.configured_limits import CountedLimits
from gateway.configured_store import joined, wake_on_signals
from gateway.contract.ingress import Ingress
from gateway.contract.transport import Transport
from gateway.core.adoption import Adoption
from gateway.core.checkpoints import Checkpoints
from gateway.core.device_rooms import DeviceRooms
from gateway.core.refreshing import Nudge, keep_fresh
from gateway.core.retention import Retention
from gateway.core.shared_news import SharedNews
from gateway.store.sql_store import SqlStore
from gateway.web.door.credentials import Credentials
from gateway.web.services import Services

NOT_READ = "mode, rules for workers, tokens of keys and members of rooms cannot be read"


@dataclass(frozen=True, slots=True)
class Lifespan:
    """The parts of a gateway that are started and ended. Call it for a context manager: the gateway serves
    within its block.

    Attributes:
        transports: by mode.
        ingress: None without a broker.
        shared_news: None if no other gateway can be on the database.
    """

    gateway: Services
    store: SqlStore
    transports: Mapping[str, Transport]
    limits: CountedLimits
    checkpoints: Checkpoints
    adoption: Adoption
    ingress: Ingress | None
    device_rooms: DeviceRooms
    shared_news: SharedNews | None
    retention: Retention

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        """Raises GatewayError if a part cannot start."""
        gateway, runs = self.gateway, self.gateway.runs
        async with AsyncExitStack() as stack:
            start = stack.enter_async_context
            stack.push_async_callback(gateway.traces.close)
            stack.callback(gateway.refusals.tell_rest)
            await start(self.store.running())
            await start(joined(self.store, runs, self.checkpoints, self.adoption, self._gateways_changed))
            await gateway.keys.refresh()
            await gateway.mode_switch.restore()
            await self._reload_settings()
            await start(self.limits.running())
            await self._read_secrets()
            for transport in self.transports.values():
                await start(transport.running())
            await start(runs.running())
            await start(gateway.hall.running())
            await start(self.device_rooms.running())
            await self.adoption.begin(alone=gateway.relay is None)
            if self.ingress is not None:
                await start(self.ingress.running())
                stack.push_async_callback(runs.end_all)  # while devices can still get the ends
            background = await start(asyncio.TaskGroup())
            for work in self._background_work():
                stack.callback(background.create_task(work).cancel)
            yield

    async def _read_secrets(self) -> None:
        tickets, relay = self.gateway.tickets, self.gateway.relay
        if not tickets.secret:
            tickets.secret = await self.store.secret("tickets")
        if relay is not None:
            relay.seal.set_secret(await self.store.secret("relay"))

    def _background_work(self) -> list[Coroutine[Any, Any, None]]:
        gateway = self.gateway
        keys_changed, settings_changed = Nudge(), Nudge()
        wake_on_signals(self.store.membership.signals, keys_changed, settings_changed)
        work = [
            gateway.pulse.run(),
            self.checkpoints.run(),
            gateway.keys.run(keys_changed.sleep),
            keep_fresh(self._reload_mode_and_settings, NOT_READ, settings_changed.sleep),
            self.retention.run(),
            gateway.room_connections.run(Credentials(gateway).stand),
        ]
        if gateway.identities is not None:
            work.append(gateway.identities.run())
        if self.shared_news is not None:
            work.append(self.shared_news.run())
        return work

    async def _reload_mode_and_settings(self) -> None:
        await self.gateway.mode_switch.reload()
        await self._reload_settings()

    async def _reload_settings(self) -> None:
        await self.gateway.worker_rules.reload()
        await self.gateway.budgets.reload()
        await self.gateway.rooms.reload()

    def _gateways_changed(self, others: Collection[str], lost: Collection[str]) -> None:
        gateway = self.gateway
        gateway.keys.gateways = 1 + len(others)
        gateway.hall.gateways_lost(lost)
        self.device_rooms.gateways_changed(others)
        if gateway.relay is not None:
            gateway.relay.cut(lost)
            gateway.relay.revive(others)
