"""The gateway's view of the workers, from their status frames and the times of arrival."""

import logging
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.contract.accepted_kinds import ALL_KINDS, check_accepts, kinds_of
from gateway.contract.content import Need
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import NO_RULE, WorkerInfo, WorkerRule
from transports.mqtt.protocol.frames import Status
from transports.mqtt.requests.track_records import TrackRecord, TrackRecords

log = logging.getLogger(__name__)

MISSED_HEARTBEATS = 3
MAX_WORKERS = 1_000
"""Maximum number of known workers: a client that may publish may invent names."""


@dataclass(eq=False, slots=True)
class KnownWorker:
    """One incarnation of one worker: a restart makes another object.

    open: number of our own requests there. used: number of the turn in which it was last chosen; 0: never.
    full: it refused a request, and gets none until its next status. record: record of its answers, also of
    earlier incarnations. rule: of an administrator.
    """

    name: str
    status: Status
    heard_at: float
    open: int = 0
    used: int = 0
    full: bool = False
    lost: bool = False
    record: TrackRecord = field(default_factory=TrackRecord)
    rule: WorkerRule = NO_RULE

    @property
    def ready(self) -> bool:
        return self.willing and self.record.aside_until is None

    @property
    def willing(self) -> bool:
        """True if it takes requests, now or when its suspension is over."""
        return self.status.state == "ready" and not self.rule.disabled

    def takes(self, needs: frozenset[Need]) -> bool:
        """True if its status has all these abilities."""
        return not needs or all(
            self.status.embeds if need == "embeddings" else need in self.status.accepts for need in needs
        )

    def room(self, worker_max: int, *, held_back: bool) -> int:
        """Return the number of further requests that it may get.

        worker_max: concurrent requests of ours, even if its `max` is larger. held_back: it gets no more than
        its share. A worker that failed gets one at a time until it answers.
        """
        if self.full:
            return 0
        if self.rule.max_requests is not None:
            worker_max = min(worker_max, self.rule.max_requests)
        room = min(self.status.max - max(self.status.busy, self.open), worker_max - self.open)
        if self.record.failures:
            return min(room, 1 - self.open)
        return min(room, self.record.share - self.open) if held_back else room

    @property
    def believed_until(self) -> float:
        """Time, on the clock of `heard_at`, at which it counts as lost; infinity without a heartbeat."""
        heartbeat_s = self.status.heartbeat_s
        return float("inf") if heartbeat_s is None else self.heard_at + MISSED_HEARTBEATS * heartbeat_s

    def serves(self, model: str | None) -> str | None:
        """Return the model that answers a request for `model` here; None if the worker lists no models."""
        models = self.status.models
        return model if model in models else models[0] if models else None

    def info(self, now: float) -> WorkerInfo:
        said = self.status
        return WorkerInfo(
            name=self.name,
            state="ready" if said.state == "ready" else "draining",
            models=said.models,
            stream=said.stream,
            max=said.max,
            busy=said.busy,
            open=self.open,
            incarnation=said.incarnation,
            heartbeat_s=said.heartbeat_s,
            last_heard_s=round(now - self.heard_at, 3),
            set_aside=self.record.aside_until is not None,
            full=self.full,
            disabled=self.rule.disabled,
        )


class Presence:
    """All known workers by name, at most MAX_WORKERS.

    Times are seconds of the caller's monotonic clock. random: returns numbers from 0 to 1.
    """

    def __init__(self, random: Callable[[], float] = random.random) -> None:
        self._workers: dict[str, KnownWorker] = {}
        self._rules: Mapping[str, WorkerRule] = {}
        self._records = TrackRecords(random)
        self.turned_away = 0
        self._logged_lack = False

    @property
    def workers(self) -> Collection[KnownWorker]:
        return self._workers.values()

    @property
    def ready(self) -> list[KnownWorker]:
        """The ready workers that get requests for any model."""
        return [worker for worker in self._workers.values() if worker.ready and not worker.status.by_name]

    @property
    def all_disabled(self) -> bool:
        """True if there are workers, and administrators have disabled all of them."""
        return bool(self._workers) and all(worker.rule.disabled for worker in self._workers.values())

    def find(self, name: str) -> KnownWorker | None:
        return self._workers.get(name)

    def failed(self, worker: KnownWorker, now: float) -> None:
        """The worker did not answer a request, or sent an invalid frame: it is suspended for a while."""
        worker.record.failed(now, self._records.jitter())

    def infos(self, now: float) -> Sequence[WorkerInfo]:
        """Return all workers, by name."""
        return [worker.info(now) for worker in sorted(self.workers, key=lambda worker: worker.name)]

    def models(self) -> Sequence[str]:
        """Return the models of the ready workers, each name once, the first worker's default first. Those of
        workers `by_name` are the last."""
        ready = sorted((worker for worker in self.workers if worker.ready), key=_is_by_name)
        return list(dict.fromkeys(model for worker in ready for model in worker.status.models))

    def serving(self, model: str | None) -> list[KnownWorker]:
        """Return the willing workers that list the model; if there are none, all willing ones that are not
        `by_name`, since the request then gets the default model. Suspended workers are included: requests
        wait for them."""
        willing = [worker for worker in self._workers.values() if worker.willing]
        naming = [worker for worker in willing if model in worker.status.models]
        return naming or [worker for worker in willing if not worker.status.by_name]

    def rule(self, rules: Mapping[str, WorkerRule]) -> None:
        """Apply these rules, by name, in place of all earlier ones. Workers keep the requests they have."""
        self._rules = rules
        for worker in self.workers:
            worker.rule = rules.get(worker.name, NO_RULE)

    def check_accepts(self, request: ChatRequest) -> None:
        """Raise UnsupportedContent if no worker for the request accepts its kinds of content."""
        kinds = kinds_of(request)
        serving = self.serving(request.model) if kinds else []
        if serving and not any(worker.takes(kinds) for worker in serving):
            accepted = max((worker.status.accepts for worker in serving), key=len)
            check_accepts(request, ALL_KINDS.intersection(accepted), "A worker over MQTT")

    def take(self, name: str, status: Status, *, retained: bool, now: float) -> KnownWorker | None:
        """Take one status. Returns the incarnation that it ends, whose requests will get no more frames.

        A `lost` of an earlier incarnation is ignored: an old connection's will may arrive after the new
        status. A `lost` without an incarnation ends any. No status ends a suspension. A retained status may
        be old, so it does not end `full` either.
        """
        known = self._workers.get(name)
        if status.state == "lost":
            if known is None or 0 < status.incarnation < known.status.incarnation:
                return None
            return self._end(known)
        if known is None:
            if self._has_room():
                self._begin(name, status, now)
                if status.roll_call and not retained:
                    self._retained_did_not_come(name)
            return None
        if known.status.incarnation != status.incarnation:
            self._end(known)
            self._begin(name, status, now)
            return known
        known.status = status
        known.heard_at = now
        if not retained:
            known.full = False
        return None

    def expire(self, now: float) -> list[KnownWorker]:
        """Forget the workers that missed their heartbeats, and return them. End suspensions that are over."""
        for worker in self.workers:
            until = worker.record.aside_until
            if until is not None and until <= now:
                worker.record.aside_until = None
        return [self._end(worker) for worker in list(self.workers) if worker.believed_until <= now]

    def forget_all(self) -> list[KnownWorker]:
        """Forget all workers, and return them: after a lost connection each publishes its status again."""
        return [self._end(worker) for worker in list(self.workers)]

    def _has_room(self) -> bool:
        """True if one more worker can be stored, if necessary in place of one that takes no requests."""
        if len(self._workers) < MAX_WORKERS:
            return True
        idle = next((worker for worker in self.workers if not worker.ready and not worker.open), None)
        if idle is not None:
            self._end(idle)
            return True
        self.turned_away += 1
        if self.turned_away == 1:
            log.warning("%d MQTT workers are known; the status of others is ignored", MAX_WORKERS)
        return False

    def _retained_did_not_come(self, name: str) -> None:
        if not self._logged_lack:
            log.warning(
                "the MQTT broker does not send retained statuses to a new subscription: worker %s was "
                "unknown until it answered the roll call. Workers without heartbeat_s that answer none stay "
                "unknown",
                name,
            )
        self._logged_lack = True

    def _begin(self, name: str, status: Status, now: float) -> None:
        record = self._records.returns(name)
        rule = self._rules.get(name, NO_RULE)
        self._workers[name] = KnownWorker(name, status, now, record=record, rule=rule)

    def _end(self, worker: KnownWorker) -> KnownWorker:
        del self._workers[worker.name]
        worker.lost = True
        self._records.leaves(worker.name, worker.record)
        return worker


def _is_by_name(worker: KnownWorker) -> bool:
    return worker.status.by_name
