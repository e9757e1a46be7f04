"""The abilities of every transport: what they answer while the other side is there, and while it is not."""

import asyncio
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest

from gateway.contract.errors import Interrupted, Unreachable
from gateway.contract.reattach import Handle, Reattach, Reattachable
from gateway.contract.transport import Abilities, Transport
from tests.contract.registry import TRANSPORT_RIGS, RigFactory
from tests.contract.rigs import TransportRig
from tests.reading import events_of, reading
from transports.scripted import ScriptedTransport

MQTT = {
    "health",
    "models",
    "admit",
    "check",
    "workers",
    "rule_workers",
    "drain",
    "accepts",
    "embed",
    "queued",
    "refused_topics",
    "reattach",
    "forget",
    "stop",
}
HAS = {
    "scripted": {"health", "reattach", "stop"},
    "traced": {"health", "embed", "reattach", "stop"},
    "llama": {
        "health",
        "models",
        "check",
        "slots",
        "accepts",
        "context",
        "embed",
        "count_tokens",
        "reattach",
        "stop",
    },
    "llama-servers": {
        *("health", "models", "admit", "check", "servers", "place_in_queue", "accepts", "context"),
        *("embed", "embeds", "count_tokens", "reattach", "stop"),
    },
    "mqtt-streaming": MQTT,
    "mqtt-whole": MQTT,
    "mqtt-public-way": MQTT,
}
"""By the name of a rig: the abilities in which its transport differs from one that has none."""

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=TRANSPORT_RIGS, ids=lambda factory: factory.__name__)
def rig(request: pytest.FixtureRequest) -> TransportRig:
    factory: RigFactory = request.param
    return factory()


def place_of(transport: Transport, model: str | None = None) -> int:
    return transport.abilities.place_in_queue(model)


async def test_they_fit_together_while_the_other_side_is_there(rig: TransportRig) -> None:
    async with asyncio.timeout(120), rig.serving() as transport:
        able = transport.abilities
        assert able == transport.abilities
        assert {each.name for each in fields(able) if getattr(able, each.name) != each.default} == HAS[
            rig.name
        ]
        health = await able.health()
        assert health.ok
        assert health.detail
        assert place_of(transport) == 0
        expected = able.admit(None)
        assert expected is None or expected.name == transport.info.name
        for model in able.models():
            assert able.admit(model) == expected
            assert place_of(transport, model) == 0
        able.check(rig.request("Hello"))
        slots = await able.slots()
        assert slots is None or slots > 0
        assert not await able.refused_topics()
        assert all(worker.state == "ready" for worker in able.workers())


async def test_they_never_break_while_the_other_side_is_away(rig: TransportRig) -> None:
    async with asyncio.timeout(120), rig.serving() as transport:
        able = transport.abilities
        known = list(able.models())
        await rig.lose_peer()
        await able.health()
        with suppress(Unreachable):
            able.admit(None)
        assert set(able.models()) <= set(known)
        assert place_of(transport) >= 0
        assert await able.slots() is None
        able.check(rig.request("Hello"))
        able.workers()


@pytest.mark.parametrize(
    "handle",
    [
        {},
        {"conversation_id": "0" * 32},
        {"conversation_id": 7, "worker": None},
        {"worker": "nobody", "request": "", "incarnation": -1},
        {"worker": ["w"], "request": {}, "incarnation": "1"},
    ],
    ids=str,
)
async def test_nobody_has_the_reply_of_a_handle_of_another_time(rig: TransportRig, handle: Handle) -> None:
    async with asyncio.timeout(120), rig.serving() as transport:
        able = transport.abilities
        asked = Reattach("f" * 32, handle, 1, 30.0, Reattachable("0" * 32, lambda _: None))
        with pytest.raises((Interrupted, Unreachable)):
            await able.reattach(asked, lambda _: None)
        able.forget(handle, 1)
        able.stop(handle, 1)
        await events_of(transport, rig.request("Hello"))


async def test_a_drained_transport_ends_what_runs(rig: TransportRig) -> None:
    async with asyncio.timeout(120), rig.serving() as transport:
        async with reading(transport, rig.endless()):
            transport.abilities.drain()
        await events_of(transport, rig.request("Hello"))


async def test_a_transport_that_can_nothing_more_answers_all_the_same() -> None:
    able = ScriptedTransport(lambda _: [], abilities=Abilities()).abilities
    able.drain()
    able.check(None)  # type: ignore[arg-type]
    assert (await able.health()).ok
    assert (list(able.models()), list(able.workers())) == ([], [])
    assert (able.admit("any"), able.place_in_queue("any"), await able.slots()) == (None, 0, None)


def test_no_code_tests_a_transports_type() -> None:
    for folder in ("gateway", "transports"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "runtime_checkable" not in path.read_text(encoding="utf-8"), path
