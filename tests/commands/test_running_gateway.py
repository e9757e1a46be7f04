"""`sluice streams` and `sluice workers`, as an operator types them."""

import asyncio
from pathlib import Path

import pytest

from gateway.contract.events import Delta, Done
from gateway.contract.record import replace
from gateway.contract.transport import Abilities
from tests.commands.gateways import sluice, sluice_alone
from tests.web.api.admin.test_workers import Ruled, rules_of
from tests.web.api.test_workers import WORKER
from tests.web.gateway_server import STREAM, served, unified_events
from transports.scripted import tokens


async def test_streams_are_listed_and_stopped(tmp_path: Path) -> None:
    held = asyncio.Event()
    async with served(tmp_path, lambda _: [[Delta("halfway")], held.wait, [Done("stop")]]) as gateway:
        async with gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as response:
            events = unified_events(response)
            stream_id = (await anext(events))["stream_id"]
            await anext(events)
            listed = await sluice(gateway, "streams", "list")
            others = await sluice(gateway, "streams", "list", "--user", "two words & more")
            stopped = await sluice(gateway, "streams", "stop", stream_id)
            (done,) = [event async for event in events]
        again = await sluice(gateway, "streams", "stop", "../keys/1")
    id, user, _, mode, dialect, _, chars, readers, _ = listed.output.rstrip("\n").split("\t")
    assert (id, user, mode, dialect) == (stream_id, "local", "sse", "lam")
    assert (chars, readers) == ("7 characters", "1 readers")
    assert (others.exit_code, others.stdout) == (0, "")
    assert others.stderr == "No replies of two words & more are running.\n"
    assert (stopped.exit_code, stopped.output, done["reason"]) == (
        0,
        f"{stream_id} is stopped.\n",
        "user_stop",
    )
    assert again.exit_code == 1


async def test_a_list_without_workers_says_so(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        listed = await sluice(gateway, "workers", "list")
    assert (listed.exit_code, listed.stdout, listed.stderr) == (0, "", "No workers are known.\n")


async def test_workers_are_listed_disabled_enabled_and_limited(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), kind=Ruled) as gateway:
        disabled = await sluice(gateway, "workers", "disable", "w-17")
        limited = await sluice(gateway, "workers", "limit", "w-17", "3")
        listed = await sluice(gateway, "workers", "list")
        for arguments in (("enable", "w-17"), ("limit", "w-17")):
            assert (await sluice(gateway, "workers", *arguments)).exit_code == 0
        assert rules_of(gateway) == {}
        unknown = await sluice(gateway, "workers", "disable", "w-99")
    assert disabled.output == "w-17\tready\t2 of 8 requests\ttiny\tdisabled by local from 127.0.0.1\n"
    assert limited.output.endswith("\tdisabled, at most 3 requests by local from 127.0.0.1\n")
    assert listed.output == limited.output + "w-18\tready\t2 of 8 requests\ttiny\t-\n"
    assert (unknown.exit_code, unknown.output) == (1, "sluice: No such worker.\n")


class Hostile(Ruled):
    """Its worker announces a model whose name commands terminals."""

    @property
    def abilities(self) -> Abilities:
        return Abilities(workers=lambda: [replace(WORKER, models=("\x1b[2Jtiny\nmodel",))])


async def test_a_name_that_a_worker_announces_commands_no_terminal(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), kind=Hostile) as gateway:
        listed = await sluice(gateway, "workers", "list")
    assert listed.output.split("\t")[3] == r"\x1b[2Jtiny\nmodel"


@pytest.mark.parametrize("url", ["ftp://host", "http://[::1", "http://a..b", "http://host:port"])
@pytest.mark.parametrize("command", ["streams list", "chat hello"])
def test_an_address_that_is_none_is_refused_in_one_line(tmp_path: Path, url: str, command: str) -> None:
    refused = sluice_alone(tmp_path, *command.split(), "--url", url)
    assert refused.exit_code == 2
    assert "Invalid value for --url" in refused.output


def test_without_a_gateway_they_say_so_in_one_line(tmp_path: Path) -> None:
    for arguments in (("streams", "list"), ("workers", "list"), ("streams", "stop", "x")):
        refused = sluice_alone(tmp_path, *arguments)
        assert (refused.exit_code, refused.output.count("\n")) == (1, 1)
        assert "no gateway answers at http://127.0.0.1:" in refused.output
        assert "--url" in refused.output
