"""Devices in rooms: one of several gateways sends to each of them."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from gateway.contract.rooms import Member
from tests.transports.mqtt.device_end import DeviceEnd
from tests.transports.mqtt.device_scene import device_at, second_core
from tests.transports.mqtt.devices.room_scene import BEN, Scene, gateway_on, heard, scene


async def each_gateway_has_some(at: Scene, ends: Sequence[DeviceEnd]) -> None:
    """Let the devices come, and see that each gateway has some of them, and each of them hears."""
    for end in ends:
        end.status("ready", incarnation=1)
        await at.present(end.name)
    await at.post("Hello")
    for end in ends:
        await heard(end, "message", text="Hello")
    names = {end.name for end in ends}
    assert set() < {name for name in names if at.gateway.devices._is_mine(name)} < names


async def all_hear_again(at: Scene, ends: Sequence[DeviceEnd]) -> None:
    await at.post("Again")
    for end in ends:
        await heard(end, "message", text="Again")
        assert [frame["text"] for frame in at.room_frames(end)] == ["Hello", "Again"]


async def test_one_of_several_gateways_sends_to_a_device(tmp_path: Path) -> None:
    names = [f"robot-{number}" for number in range(12)]
    async with scene(tmp_path, BEN, *(Member("device", name) for name in names), heard=False) as at:
        other_home = second_core(at.gateway.home)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(other_home.runs.running())
            other = await stack.enter_async_context(
                gateway_on(at.broker, at.hub, other_home, at.gateway.access, "gateway-2")
            )
            at.gateway.devices.gateways_changed(["gateway-2"])
            other.devices.gateways_changed(["gateway"])
            at.gateway.access.on_change()
            ends = [at.device if name == "robot-1" else device_at(at.broker, name) for name in names]
            await each_gateway_has_some(at, ends)
        # The other one has gone: its devices change over.
        at.gateway.devices.gateways_changed([])
        for end in ends:
            await at.present(end.name)
        await all_hear_again(at, ends)


async def test_a_gateway_that_starts_or_stops_takes_and_gives_back_devices_at_once(tmp_path: Path) -> None:
    names = [f"robot-{number}" for number in range(12)]
    async with scene(tmp_path, BEN, *(Member("device", name) for name in names), heard=False) as at:
        other_home = second_core(at.gateway.home)
        ends = [at.device if name == "robot-1" else device_at(at.broker, name) for name in names]
        async with other_home.runs.running():
            async with gateway_on(at.broker, at.hub, other_home, at.gateway.access, "gateway-2") as other:
                other.devices.gateways_changed(["gateway"])
                await each_gateway_has_some(at, ends)
            for end in ends:
                await at.present(end.name)
            await all_hear_again(at, ends)
