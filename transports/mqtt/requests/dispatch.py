"""Who gets which request: the choice of a worker, and the bounded queue of those who wait for one."""

from bisect import insort
from typing import Protocol

from gateway.contract.content import Kind
from gateway.contract.errors import NoWorker, Overloaded
from transports.mqtt.requests.presence import KnownWorker, Presence

NO_KINDS: frozenset[Kind] = frozenset()


class Candidate(Protocol):
    """Somebody who needs a worker. asked_at: who asked first is served first. tried: workers that refused it
    and are not asked again."""

    @property
    def asked_at(self) -> float: ...

    @property
    def model(self) -> str | None: ...

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of content that the worker must take besides text."""
        ...

    @property
    def tried(self) -> set[KnownWorker]: ...

    def assigned(self, worker: KnownWorker) -> None:
        """It is your turn; `release` the worker when done with it."""
        ...

    def waits_at(self, position: int) -> None:
        """You wait; 1 is next. Told again whenever it changes."""
        ...


class Dispatch:
    """worker_max: requests that one worker may have of us at once, whatever it says itself."""

    def __init__(self, presence: Presence, *, queue_max: int, worker_max: int = 64) -> None:
        self._presence = presence
        self._worker_max = worker_max
        self._queue_max = queue_max
        self._queue: list[Candidate] = []
        self._turn = 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def expected(self, model: str | None) -> KnownWorker:
        """Who would serve a request for `model`, now or after a wait.

        Raises NoWorker when nobody is ready, Overloaded when all are full and the queue is too.
        """
        if not self._presence.ready:
            raise NoWorker("no MQTT worker is ready", retry_after_s=5)
        worker = self._choose(model, NO_KINDS, set())
        if worker is None:
            self._refuse_if_full()
        return worker or self._presence.serving(model)[0]

    def enter(self, candidate: Candidate, *, again: bool = False) -> None:
        """Assign a worker at once, or let the candidate wait; raises Overloaded when the queue is full.

        again: a worker failed it. It was let in before, so it takes its old place however many wait.
        """
        worker = self._choose(candidate.model, candidate.kinds, candidate.tried)
        if worker is not None:
            self._assign(worker, candidate)
            return
        if not again:
            self._refuse_if_full()
        insort(self._queue, candidate, key=lambda waiting: waiting.asked_at)
        self._tell_positions(self._queue.index(candidate))

    def leave(self, candidate: Candidate) -> None:
        """Stop waiting; harmless for one who does not wait."""
        if candidate in self._queue:
            at = self._queue.index(candidate)
            del self._queue[at]
            self._tell_positions(at)

    def failed(self, worker: KnownWorker, now: float) -> None:
        """It let a request lie, or answered with rubbish."""
        self._presence.failed(worker, now)

    def release(self, worker: KnownWorker) -> None:
        """One of our requests there is over."""
        worker.open -= 1
        self.serve()

    def serve(self) -> None:
        """Give workers to those who wait, first come first served; to be called after any change."""
        at = 0
        first_moved: int | None = None
        full: set[tuple[str | None, frozenset[Kind]]] = set()
        """Models and kinds that nobody has room for: the many who want the same need not look again."""
        while at < len(self._queue):
            candidate = self._queue[at]
            wanted = candidate.model, candidate.kinds
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

    def has_untried(self, candidate: Candidate) -> bool:
        """Whether anybody who has the model has not refused it yet, if only after a wait."""
        serving = self._presence.serving(candidate.model)
        return any(worker not in candidate.tried and worker.takes(candidate.kinds) for worker in serving)

    def _refuse_if_full(self) -> None:
        if len(self._queue) >= self._queue_max:
            raise Overloaded("every MQTT worker is busy and the queue is full", retry_after_s=2)

    def _assign(self, worker: KnownWorker, candidate: Candidate) -> None:
        self._turn += 1
        worker.used = self._turn
        worker.open += 1
        candidate.assigned(worker)

    def _choose(
        self, model: str | None, kinds: frozenset[Kind], tried: set[KnownWorker]
    ) -> KnownWorker | None:
        """The ready worker with the most room within its share that has the model and takes these kinds of
        content; of equals the one least recently used.

        What a worker says of its room cannot win it more than its answers have. A worker whose last request
        failed is chosen only if nobody else has room.
        """
        serving = self._presence.serving(model)
        is_one_proven = any(worker.standing.proven for worker in serving)
        chosen, best = None, (False, 0, 0)
        for worker in serving:
            if not worker.ready or worker in tried or not worker.takes(kinds):
                continue
            standing = worker.standing
            room = worker.room(self._worker_max, held_back=is_one_proven and not standing.proven)
            rank = (not standing.failures, min(room, standing.share - worker.open), -worker.used)
            if room > 0 and (chosen is None or rank > best):
                chosen, best = worker, rank
        return chosen

    def _tell_positions(self, first: int) -> None:
        for at in range(first, len(self._queue)):
            self._queue[at].waits_at(at + 1)
