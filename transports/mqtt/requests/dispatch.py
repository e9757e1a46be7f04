"""Assigns requests to workers: the choice of a worker, and the bounded queue of waiting requests."""

from bisect import insort
from collections.abc import Collection, Mapping
from typing import Protocol

from gateway.contract.content import Need
from gateway.contract.errors import NoWorker, Overloaded
from gateway.contract.transport import WorkerRule
from transports.mqtt.requests.presence import KnownWorker, Presence

NO_NEEDS: frozenset[Need] = frozenset()
ALL_DISABLED = "an administrator has disabled every MQTT worker: see `sluice workers list`"


class Candidate(Protocol):
    """A request that needs a worker. asked_at: the earliest is served first. tried: workers that refused it
    and do not get it again."""

    @property
    def asked_at(self) -> float: ...

    @property
    def model(self) -> str | None: ...

    @property
    def needs(self) -> frozenset[Need]:
        """The abilities that the worker must have."""
        ...

    @property
    def tried(self) -> set[KnownWorker]: ...

    def assigned(self, worker: KnownWorker) -> None:
        """Called when a worker is assigned. `release` the worker at the end of the request."""
        ...

    def waits_at(self, position: int) -> None:
        """Called when the request waits, and when its position changes; 1 is next."""
        ...

    def is_stranded(self, why: str) -> None:
        """Called when no worker can serve it any more, and none is expected."""
        ...


class Dispatch:
    """Assigns workers. worker_max: concurrent requests to one worker, even if its `max` is larger."""

    def __init__(self, presence: Presence, *, queue_max: int, worker_max: int = 64) -> None:
        self._presence = presence
        self._worker_max = worker_max
        self._queue_max = queue_max
        self._queue: list[Candidate] = []
        self._turn = 0
        self._is_serving = self._changed = False

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def expected(self, model: str | None) -> KnownWorker:
        """Return the worker that would serve a request for `model`, now or after a wait.

        Raises NoWorker if no worker is ready, Overloaded if all workers and the queue are full.
        """
        self.refuse_if_none_ready(model)
        worker = self._choose(model, NO_NEEDS, set())
        if worker is None:
            self._refuse_if_full()
        return worker or self._presence.serving(model)[0]

    def refuse_if_none_ready(self, model: str | None = None) -> None:
        """Raise NoWorker if no worker is ready that gets requests for the model."""
        if not self.is_any_ready(model):
            why = ALL_DISABLED if self._presence.all_disabled else "no MQTT worker is ready"
            raise NoWorker(why, retry_after_s=5)

    def is_any_ready(self, model: str | None) -> bool:
        return bool(self._presence.ready) or any(worker.ready for worker in self._presence.serving(model))

    def enter(self, candidate: Candidate, *, again: bool = False) -> None:
        """Assign a worker at once, or queue the candidate. Raises Overloaded if the queue is full.

        again: a worker failed it. It was accepted before, so it gets its old place even in a full queue.
        """
        worker = self._choose(candidate.model, candidate.needs, candidate.tried)
        if worker is not None:
            self._assign(worker, candidate)
            return
        if not again:
            self._refuse_if_full()
        insort(self._queue, candidate, key=lambda waiting: waiting.asked_at)
        self._tell_positions(self._queue.index(candidate))
        self._strand_if_all_disabled()

    def leave(self, candidate: Candidate) -> None:
        """Remove the candidate from the queue. Does nothing if it is not waiting."""
        if candidate in self._queue:
            at = self._queue.index(candidate)
            del self._queue[at]
            self._tell_positions(at)

    def failed(self, worker: KnownWorker, now: float) -> None:
        """The worker did not answer a request, or sent an invalid frame."""
        self._presence.failed(worker, now)

    def rule_workers(self, rules: Mapping[str, WorkerRule]) -> None:
        """See Abilities."""
        self._presence.rule(rules)
        self.serve()

    def release(self, worker: KnownWorker) -> None:
        """One of our requests to the worker has ended."""
        worker.open -= 1
        self.serve()

    def move(self, before: KnownWorker, after: KnownWorker) -> None:
        """One of our requests is now at the other worker, which is the same one after it was away."""
        before.open -= 1
        after.open += 1

    def serve(self) -> None:
        """Assign workers to waiting candidates, the earliest first. Call it after every change.

        While administrators have disabled all workers, nothing waits: only another order would end it.
        """
        self._changed = True
        if self._is_serving:  # by a candidate that gives its worker back at once: it cannot be sent
            return
        self._is_serving = True
        try:
            while self._changed:
                self._changed = False
                self._strand_if_all_disabled()
                self._serve_once()
        finally:
            self._is_serving = False

    def _serve_once(self) -> None:
        at = 0
        first_moved: int | None = None
        full: set[tuple[str | None, frozenset[Need]]] = set()
        """Models and needs without a free worker, so that each is looked up only once."""
        while at < len(self._queue):
            candidate = self._queue[at]
            wanted = candidate.model, candidate.needs
            worker = None if wanted in full else self._choose(*wanted, candidate.tried)
            if worker is None:
                if not candidate.tried:
                    full.add(wanted)
                at += 1
                continue
            if first_moved is None:
                first_moved = at
            del self._queue[at]
            self._assign(worker, candidate)
        if first_moved is not None:
            self._tell_positions(first_moved)

    def left(self, workers: Collection[KnownWorker]) -> None:
        """These workers have gone. Strand the waiting candidates whose needs only they had."""
        for candidate in [waiting for waiting in self._queue if waiting.needs]:
            serving = self._presence.serving(candidate.model)
            took = any(worker.takes(candidate.needs) for worker in workers)
            if took and serving and not any(worker.takes(candidate.needs) for worker in serving):
                candidate.is_stranded("the last MQTT worker that can do this has gone")

    def has_untried(self, candidate: Candidate) -> bool:
        """True if a worker with the model has not refused it yet, even if that one is busy."""
        serving = self._presence.serving(candidate.model)
        return any(worker not in candidate.tried and worker.takes(candidate.needs) for worker in serving)

    def _strand_if_all_disabled(self) -> None:
        if self._queue and self._presence.all_disabled:
            waiting, self._queue = self._queue, []
            for candidate in waiting:
                candidate.is_stranded(ALL_DISABLED)

    def _refuse_if_full(self) -> None:
        if len(self._queue) >= self._queue_max:
            raise Overloaded("every MQTT worker is busy and the queue is full", retry_after_s=2)

    def _assign(self, worker: KnownWorker, candidate: Candidate) -> None:
        self._turn += 1
        worker.used = self._turn
        worker.open += 1
        candidate.assigned(worker)

    def _choose(
        self, model: str | None, needs: frozenset[Need], tried: set[KnownWorker]
    ) -> KnownWorker | None:
        """Return the ready worker for the model and the needs with the most room within its share; of equals
        the least recently used.

        A worker's announced capacity does not rank it above its share, which its answers have earned. A
        worker whose last request failed is chosen only if no other has room.
        """
        serving = self._presence.serving(model)
        is_one_proven = any(worker.record.proven for worker in serving)
        chosen, best = None, (False, 0, 0)
        for worker in serving:
            if not worker.ready or worker in tried or not worker.takes(needs):
                continue
            record = worker.record
            room = worker.room(self._worker_max, held_back=is_one_proven and not record.proven)
            rank = (not record.failures, min(room, record.share - worker.open), -worker.used)
            if room > 0 and (chosen is None or rank > best):
                chosen, best = worker, rank
        return chosen

    def _tell_positions(self, first: int) -> None:
        for at in range(first, len(self._queue)):
            self._queue[at].waits_at(at + 1)
