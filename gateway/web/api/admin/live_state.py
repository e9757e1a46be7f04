"""Builds the events of the live state. Nothing is read or kept while nobody watches."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.contract.errors import StorageFailed
from gateway.contract.record import replace
from gateway.contract.secrets import without_secrets
from gateway.core.run import Run
from gateway.telemetry.advice import advice_for
from gateway.telemetry.last_hour import Failure, Minute
from gateway.web.api.admin.live_views import (
    BrokerState,
    DatabaseState,
    DeviceState,
    FailureView,
    GatewayState,
    LiveStream,
    MinuteView,
    StateEvent,
)
from gateway.web.api.admin.mode import ModeStateView
from gateway.web.api.admin.streams import stream_view
from gateway.web.api.admin.workers import list_ruled_workers
from gateway.web.services import Services

CHECKS_AGE_S = 5.0
MAX_STREAMS = 200


@dataclass(frozen=True, slots=True)
class _Checks:
    """Results of requests to model servers and the database. at: seconds, monotonic."""

    at: float
    modes: Sequence[ModeStateView]
    database: DatabaseState
    devices: Sequence[tuple[str, str]]


class Checks:
    """Shared by all clients that watch."""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway
        self._latest: _Checks | None = None
        self._checking = asyncio.Lock()

    async def latest(self) -> _Checks:
        """Return checks that are at most CHECKS_AGE_S seconds old. Concurrent calls share them."""
        async with self._checking:
            if self._latest is None or time.monotonic() - self._latest.at > CHECKS_AGE_S:
                modes, database = await asyncio.gather(self._modes(), self._database())
                self._latest = _Checks(time.monotonic(), modes, *database)
            return self._latest

    async def _modes(self) -> Sequence[ModeStateView]:
        states = await self._gateway.mode_switch.states()
        return [
            ModeStateView(mode=state.mode, ok=state.ok, detail=without_secrets(state.detail))
            for state in states
        ]

    async def _database(self) -> tuple[DatabaseState, Sequence[tuple[str, str]]]:
        try:
            await self._gateway.store.ping()
            devices = await self._gateway.devices.devices()
        except StorageFailed as error:
            return DatabaseState(ok=False, detail=without_secrets(str(error))), ()
        told = [(device.name, device.user_id) for device in devices]
        return DatabaseState(ok=True, detail="accepts changes"), told


class LiveState:
    """The state for one client, whose speeds are those since the state before."""

    def __init__(self, gateway: Services, checks: Checks, started_at: float) -> None:
        self._gateway = gateway
        self._checks = checks
        self._started_at = started_at
        self._before: dict[str, tuple[float, int, int]] = {}
        self._told: dict[int, MinuteView] = {}

    async def now(self) -> StateEvent:
        gateway, checks = self._gateway, await self._checks.latest()
        broker = gateway.broker
        return StateEvent(
            gateway=GatewayState(
                status="draining" if gateway.runs.draining else "up",
                version=gateway.version,
                started_at=self._started_at,
                mode=gateway.modes.mode,
                running=len(gateway.runs),
                queued=gateway.queued(),
                streams=len(gateway.pulse),
            ),
            modes=checks.modes,
            breakers=dict(gateway.modes.breakers()),
            servers=[
                replace(server, url=without_secrets(server.url), detail=without_secrets(server.detail))
                for server in gateway.modes.servers()
            ],
            broker=None if broker is None else BrokerState(connected=broker.connected, lost=broker.lost),
            database=checks.database,
            workers=await list_ruled_workers(gateway),
            devices=[
                DeviceState(name=name, user=user, presence=gateway.mirrors.presence(name))
                for name, user in checks.devices
            ],
            streams=self._streams(gateway.runs.all()[:MAX_STREAMS]),
            failures=list(map(_failure_view, gateway.last_hour.failures)),
        )

    def changed_minutes(self) -> Sequence[MinuteView]:
        """Return the minutes that have changed since the call before; at first all."""
        minutes = {minute.at: _minute_view(minute) for minute in self._gateway.last_hour.minutes()}
        changed = [view for at, view in minutes.items() if self._told.get(at) != view]
        self._told = minutes
        return changed

    def _streams(self, runs: Sequence[Run]) -> Sequence[LiveStream]:
        now = time.monotonic()
        before, self._before = self._before, {}
        streams = []
        for run in runs:
            view = stream_view(run)
            events = run.journal.last_seq - run.counts_from
            self._before[run.stream_id] = now, view.chars, events
            at, chars, counted = before.get(run.stream_id, (now - view.age_s, 0, 0))
            passed = now - at
            speeds = [
                round(max(0, new - old) / passed, 1) if passed > 0 else 0.0
                for new, old in ((view.chars, chars), (events, counted))
            ]
            streams.append(LiveStream(**view.model_dump(), chars_per_s=speeds[0], tokens_per_s=speeds[1]))
        return streams


def _minute_view(minute: Minute) -> MinuteView:
    return MinuteView(
        at=minute.at,
        replies=minute.replies,
        errors=dict(minute.errors),
        tokens=minute.tokens,
        ttft_ms=round(1000 * minute.first_s / minute.firsts, 1) if minute.firsts else None,
        tokens_per_s=round(minute.rate / minute.rates, 1) if minute.rates else None,
    )


def _failure_view(failure: Failure) -> FailureView:
    ended = failure.ended
    code = ended.error_code or ""
    return FailureView(
        at=round(failure.at, 3),
        code=code,
        reason=ended.reason,
        message=without_secrets(ended.error),
        advice=advice_for(code),
        mode=ended.mode,
        transport=ended.transport,
        model=ended.model or ended.model_asked,
        dialect=ended.dialect,
    )
