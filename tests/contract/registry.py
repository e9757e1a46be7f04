"""Which implementations the contract suites run against: a new one adds a line here."""

from collections.abc import Callable
from typing import Protocol

from gateway.contract.journal import Journal
from gateway.contract.stage import Stage
from gateway.core.stages.continuation import Continuation
from gateway.core.stages.response_cache import ResponseCache
from gateway.journals.memory import MemoryJournal
from tests.contract.rig_llama import LlamaRig, LlamaServersRig
from tests.contract.rig_mqtt import MqttPublicWayRig, MqttStreamingRig, MqttWholeRig
from tests.contract.rig_traced import TracedRig
from tests.contract.rigs import ReattachingRig, ScriptedRig, TransportRig

RigFactory = Callable[[], TransportRig]

TRANSPORT_RIGS: list[RigFactory] = [
    ScriptedRig,
    TracedRig,
    LlamaRig,
    LlamaServersRig,
    MqttStreamingRig,
    MqttWholeRig,
    MqttPublicWayRig,
]


REATTACHING_RIGS: list[Callable[[], ReattachingRig]] = [ScriptedRig, TracedRig, LlamaRig, LlamaServersRig]
"""Rigs of transports that continue replies."""


class StageFactory(Protocol):
    __name__: str

    def __call__(self) -> Stage: ...


def cache() -> Stage:
    return ResponseCache(ttl_s=60, max_bytes=1_000_000, clock=lambda: 0.0)


def continuation() -> Stage:
    return Continuation(by_default=False)


STAGE_RIGS: list[StageFactory] = [cache, continuation]


class JournalFactory(Protocol):
    __name__: str

    def __call__(self, *, max_bytes: int, total_bytes: int) -> Journal: ...


JOURNAL_RIGS: list[JournalFactory] = [MemoryJournal]
