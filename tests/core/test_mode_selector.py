"""Choice of the transport by mode, model and health; the models on offer; and readiness."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.contract.errors import (
    GatewayError,
    NoWorker,
    Overloaded,
    TransportError,
    Unprocessable,
    Unreachable,
)
from gateway.contract.transport import Abilities, Health, TransportInfo
from gateway.core.breaker import Breaker
from gateway.core.mode_selector import AUTO, ModeSelector
from transports.scripted import ScriptedTransport


class Fake(ScriptedTransport):
    """Lists `models`, fails every request with `refusal` if it is set, and reports `ok` as its health."""

    def __init__(
        self, name: str, *models: str, refusal: TransportError | None = None, ok: bool = True
    ) -> None:
        super().__init__(lambda _: [], name=name)
        self.listed = models
        self.refusal = refusal
        self.ok = ok

    @property
    def abilities(self) -> Abilities:
        return Abilities(health=self.health, models=self.models, admit=self.admit)

    def models(self) -> Sequence[str]:
        return self.listed

    def admit(self, model: str | None) -> TransportInfo:
        if self.refusal is not None:
            raise self.refusal
        return self.info

    async def health(self) -> Health:
        return Health(self.ok, "is well" if self.ok else "is ill")


def auto(*transports: Fake, refuse_unknown_models: bool = False) -> ModeSelector:
    return ModeSelector(
        {each.info.name: each for each in transports},
        AUTO,
        breakers={
            each.info.name: Breaker(each.info.name, failures=1, open_s=15, clock=lambda: 0.0)
            for each in transports
        },
        refuse_unknown_models=refuse_unknown_models,
    )


def break_down(modes: ModeSelector, model: str | None = None) -> None:
    """Let the first transport in order fail, which opens its breaker."""
    with pytest.raises(Unreachable), modes.route(model).trial():
        raise Unreachable("away")


def asked_in_turn(modes: ModeSelector, model: str | None = None) -> list[str]:
    """Return the names of the transports tried for a reply, in order, if each fails."""
    route = modes.route(model)
    names = [route.info.name]
    while (onward := route.onward()) is not None:
        names.append(onward.info.name)
        route = onward
    return names


def test_the_order_is_the_settings() -> None:
    assert asked_in_turn(auto(Fake("mqtt"), Fake("sse"))) == ["mqtt", "sse"]


def test_a_fixed_mode_asks_its_transport_whatever_happened() -> None:
    modes = auto(Fake("sse"), Fake("mqtt"))
    break_down(modes)
    modes.mode = "sse"
    assert asked_in_turn(modes) == ["sse"]
    assert modes.breakers() == {}


def test_who_refuses_is_passed_by_and_asked_again_at_the_next_turn() -> None:
    sse = Fake("sse", refusal=Overloaded("full"))
    modes = auto(sse, Fake("mqtt"))
    route = modes.route(None)
    assert route.info.name == "mqtt"
    sse.refusal = None
    onward = route.onward()
    assert onward is not None
    assert onward.info.name == "sse"


def test_a_model_goes_to_the_one_that_lists_it_and_then_to_the_others() -> None:
    modes = auto(Fake("sse", "tiny"), Fake("mqtt", "robot"))
    assert asked_in_turn(modes, "robot") == ["mqtt", "sse"]
    assert asked_in_turn(modes, "tiny") == ["sse", "mqtt"]
    assert asked_in_turn(modes, "nobody has it") == ["sse", "mqtt"]


def test_where_unknown_models_are_refused_none_is_replaced_by_another() -> None:
    modes = auto(Fake("sse", "tiny"), Fake("mqtt", "robot"), refuse_unknown_models=True)
    assert asked_in_turn(modes, "robot") == ["mqtt"]
    with pytest.raises(Unprocessable):
        modes.route("nobody has it")


def test_models_are_those_of_all_and_the_default_is_the_first_healthy_ones() -> None:
    modes = auto(Fake("sse", "tiny", "both"), Fake("mqtt", "robot", "both"))
    assert modes.models() == ("tiny", "both", "robot")
    break_down(modes)
    assert modes.models() == ("robot", "both", "tiny")


def test_the_refusal_that_ends_soonest_says_when_to_come_again() -> None:
    sse = Fake("sse", refusal=NoWorker("nobody", retry_after_s=5))
    mqtt = Fake("mqtt", refusal=Overloaded("full", retry_after_s=2))
    with pytest.raises(GatewayError) as refusal:
        auto(sse, mqtt, Fake("x", refusal=Unreachable("away"))).route(None)
    assert isinstance(refusal.value, Overloaded)
    assert (str(refusal.value), refusal.value.retry_after_s) == ("nobody; full; away", 2)


async def test_it_is_healthy_when_one_can_serve_and_tells_of_all() -> None:
    sse, mqtt = Fake("sse", ok=False), Fake("mqtt")
    modes = auto(sse, mqtt)
    assert await modes.health() == Health(
        True, "sse: is ill (breaker closed); mqtt: is well (breaker closed)"
    )
    mqtt.ok = False
    assert not (await modes.health()).ok
    mqtt.ok, sse.ok = True, True
    break_down(modes)
    assert await modes.health() == Health(True, "sse: is well (breaker open); mqtt: is well (breaker closed)")
    break_down(modes)
    assert not (await modes.health()).ok


async def test_health_asks_all_at_once() -> None:
    met = asyncio.Barrier(2)

    class Slow(Fake):
        async def health(self) -> Health:
            await met.wait()
            return await super().health()

    async with asyncio.timeout(30):
        assert (await auto(Slow("sse"), Slow("mqtt")).health()).ok
