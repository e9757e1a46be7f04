"""Embeddings from workers behind an MQTT broker: each message carries a few texts."""

import asyncio
import math
from array import array
from collections.abc import Sequence

from gateway.contract.embeddings import Embeddings, EmbedRequest, Input
from gateway.contract.errors import (
    NotSupported,
    NoWorker,
    ProtocolViolation,
    TooLarge,
    Unprocessable,
    Unreachable,
)
from gateway.contract.events import token_count
from gateway.contract.record import replace
from transports.mqtt.protocol.frames import (
    AcceptFrame,
    AliveFrame,
    Numbered,
    ProgressFrame,
    Tokens,
    VectorsFrame,
    Whole,
)
from transports.mqtt.requests.frame_order import Attempt
from transports.mqtt.requests.open_requests import OpenRequests
from transports.mqtt.requests.pending_request import EMBEDDINGS, PendingRequest
from transports.mqtt.requests.presence import KnownWorker, Presence

TEXTS_AT_A_TIME = 16
"""Texts in one message: 16 vectors of 1,024 numbers take 200 KB as JSON, and a message may have 256 KiB."""


class EmbedAttempt(Attempt):
    """One attempt to get the vectors of `count` texts."""

    __slots__ = ("_count",)

    def __init__(self, id: str, worker: KnownWorker, count: int, *, model: str | None, now: float) -> None:
        super().__init__(id, worker, model=model, now=now)
        self._count = count

    def take(self, frame: Numbered | Whole | VectorsFrame, size: int, now: float) -> None:
        """Take one frame. Raises ProtocolViolation for other frames, and for vectors that cannot be used."""
        self.heard_at = now
        if isinstance(frame, VectorsFrame):
            self.ended = True
            self.done = self._embeddings_in(frame)
        elif not isinstance(frame, AcceptFrame | AliveFrame | ProgressFrame):
            raise ProtocolViolation("the worker sent a part of a reply for an embed")

    def _embeddings_in(self, frame: VectorsFrame) -> Embeddings:
        vectors = [array("f", vector) for vector in frame.vectors]
        if len(vectors) != self._count:
            raise ProtocolViolation(f"the worker sent {len(vectors)} vectors for {self._count} texts")
        if not all(vector and math.isfinite(sum(vector)) for vector in vectors):
            raise ProtocolViolation("a vector is empty or holds a number that is not finite")
        tokens = token_count(frame.usage.prompt_tokens) if isinstance(frame.usage, Tokens) else None
        return Embeddings(vectors, self._model, tokens)


class PendingEmbeddings(PendingRequest):
    """The vectors of the texts in one message."""

    def __init__(self, request: EmbedRequest, requests: OpenRequests) -> None:
        super().__init__(request, lambda _: None, requests, asyncio.get_running_loop())
        self._count = len(request.inputs)

    def _new_attempt(self, id: str, worker: KnownWorker, now: float) -> Attempt:
        return EmbedAttempt(id, worker, self._count, model=worker.serves(self.model), now=now)


class EmbeddingWorkers:
    """Gets embeddings from the workers that make them."""

    def __init__(self, requests: OpenRequests, presence: Presence) -> None:
        self._requests = requests
        self._presence = presence

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """See Abilities. A name that no worker lists means the default model of the first worker by name.

        Raises NotSupported if no worker with the model makes embeddings, Unprocessable for token ids.
        """
        if not all(isinstance(text, str) for text in request.inputs):
            problem = "must be texts: token ids cannot be sent over MQTT"
            raise Unprocessable(f"The request does not fit: input: {problem}.", {"input": problem})
        asked = replace(request, model=self._meant(request.model))
        clock = asyncio.get_running_loop()
        ends_at = clock.time() + request.deadline_s
        made: list[Embeddings] = []
        waiting = [
            request.inputs[at : at + TEXTS_AT_A_TIME] for at in range(0, len(request.inputs), TEXTS_AT_A_TIME)
        ]
        while waiting:
            texts = waiting.pop(0)
            left_s = max(0.001, ends_at - clock.time())
            try:
                made.append(await self._some(replace(asked, inputs=texts, deadline_s=left_s)))
            except TooLarge:
                if len(texts) == 1:
                    raise
                waiting[:0] = _halves(texts)
        counts = [each.prompt_tokens for each in made]
        tokens = None if None in counts else sum(count or 0 for count in counts)
        return Embeddings([vector for each in made for vector in each.vectors], made[0].model, tokens)

    async def _some(self, request: EmbedRequest) -> Embeddings:
        made: Embeddings = await PendingEmbeddings(request, self._requests).answer()
        return made

    def _meant(self, model: str | None) -> str | None:
        """Return the model of one request, so that all of its vectors can be compared."""
        if not self._requests.link.connected:
            raise Unreachable("the MQTT broker is away", retry_after_s=2)
        workers = sorted(self._presence.workers, key=lambda worker: worker.name)
        if not any(worker.ready for worker in workers):
            raise NoWorker("no MQTT worker is ready", retry_after_s=5)
        able = [worker for worker in workers if worker.takes(EMBEDDINGS)]
        if any(model in worker.status.models for worker in workers):
            able = [worker for worker in able if model in worker.status.models]
        else:
            able = [worker for worker in able if not worker.status.by_name]
        if not able:
            raise NotSupported("No MQTT worker makes embeddings of this model.")
        willing = [worker for worker in able if worker.willing]
        if not willing:
            raise NoWorker("no MQTT worker that makes embeddings is ready", retry_after_s=5)
        return willing[0].serves(model)


def _halves(texts: Sequence[Input]) -> list[Sequence[Input]]:
    middle = len(texts) // 2
    return [texts[:middle], texts[middle:]]
