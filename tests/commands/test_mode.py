"""`sluice mode`, as an operator types it."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import Result

from tests.commands.gateways import sluice, sluice_alone
from tests.web.api.admin.test_mode import Away, workers
from tests.web.gateway_server import served
from tests.web.key_holders import make_key
from transports.scripted import tokens


async def test_it_switches_a_running_gateway_and_shows_the_author(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), mqtt=workers()) as gateway:
        key = await make_key(gateway, "anna", frozenset({"admin"}))
        shown = await sluice(gateway, "mode", key=key)
        switched = await sluice(gateway, "mode", "mqtt", key=key)
        mode = gateway.assembled.modes.mode
        back = await sluice(gateway, "mode", "--reset", key=key)
        without = await sluice(gateway, "mode", "mqtt")
        assert gateway.assembled.modes.mode == "sse"
    assert (shown.exit_code, shown.output.splitlines()[0]) == (0, "mode sse (LLM_COMM_MODE=sse)")
    assert (switched.exit_code, mode) == (0, "mqtt")
    first, second, *states = switched.output.splitlines()
    assert first == "mode mqtt (LLM_COMM_MODE=sse)"
    assert second.startswith("switched to mqtt at 20")
    assert second.endswith(" UTC by anna (key 1) from 127.0.0.1")
    assert [state.split("\t")[:2] for state in states] == [
        ["can serve", name] for name in ("sse", "mqtt", "auto")
    ]
    assert (back.exit_code, back.output.splitlines()[0]) == (0, "mode sse (LLM_COMM_MODE=sse)")
    assert (without.exit_code, without.output.count("\n")) == (1, 1)
    assert without.output.startswith("sluice: An API key is needed")


async def test_a_refusal_is_one_line_and_force_overrides_it(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), mqtt=workers(kind=Away)) as gateway:
        refused = await sluice(gateway, "mode", "mqtt")
        forced = await sluice(gateway, "mode", "mqtt", "--force")
    assert (refused.exit_code, refused.output.count("\n")) == (1, 1)
    assert "Mode mqtt cannot serve now: no MQTT worker is ready" in refused.output
    assert (forced.exit_code, forced.output.splitlines()[0]) == (0, "mode mqtt (LLM_COMM_MODE=sse)")


async def test_without_a_gateway_the_switch_waits_in_the_database_for_the_next_start(tmp_path: Path) -> None:
    async def alone(*arguments: str) -> Result:
        return await asyncio.to_thread(sluice_alone, tmp_path, "mode", *arguments)

    assert "no switch is kept" in (await alone()).output
    switched = await alone("mqtt")
    assert switched.exit_code == 0
    assert "no gateway answers at http://127.0.0.1:" in switched.output
    assert "Mode mqtt is kept" in switched.output
    assert "the switch to mqtt by " in (await alone()).output
    async with served(tmp_path, lambda _: tokens("x"), mqtt=workers(), llm_comm_mode="auto") as gateway:
        assert gateway.assembled.modes.mode == "mqtt"
    assert "No switch is kept" in (await alone("--reset")).output
    async with served(tmp_path, lambda _: tokens("x"), mqtt=workers()) as gateway:
        assert gateway.assembled.modes.mode == "sse"


async def test_a_gateway_that_runs_on_the_database_sees_a_switch_of_another_process(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), mqtt=workers()) as gateway:
        await asyncio.to_thread(sluice_alone, tmp_path, "mode", "mqtt")
        await gateway.assembled.gateway.mode_switch.reload()
        assert gateway.assembled.modes.mode == "mqtt"


@pytest.mark.parametrize(
    "arguments",
    [
        ("pigeon",),
        ("sse", "--reset"),
        ("sse", "--url", "ftp://x"),
        ("sse", "--url", "http://x:99999"),
        ("sse", "--key", "sk-\n"),
        ("sse", "--key", "ä"),
    ],
)
def test_a_wrong_command_line_changes_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    refused = sluice_alone(tmp_path, "mode", *arguments)
    assert refused.exit_code == 2
    assert "no switch is kept" in sluice_alone(tmp_path, "mode").output
