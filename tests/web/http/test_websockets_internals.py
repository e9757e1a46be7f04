"""The undocumented parts of websockets: each is checked, and without one uvicorn's own class is used."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from gateway.contract.events import Delta, Done
from gateway.web.http import websockets_internals
from gateway.web.http.websockets_internals import (
    LIMITS,
    MODULE,
    REASONS,
    STREAM_REASONS,
    STREAMS,
    limit_messages,
    missing_names,
)
from tests.web.gateway_server import served
from tests.web.sockets.page_socket import page_socket

PROTOCOL, READER = REASONS["Protocol"], STREAM_REASONS["StreamReader"]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """The names that the installed websockets has, by class. Take one away and call `missing_names`."""
    names = {"Protocol": {*PROTOCOL, LIMITS[0]}, "StreamReader": set(READER)}

    class Module(ModuleType):
        def __getattr__(self, class_name: str) -> type:
            return type(class_name, (), dict.fromkeys(names[class_name]))

    monkeypatch.setitem(sys.modules, MODULE, Module(MODULE))
    monkeypatch.setitem(sys.modules, STREAMS, Module(STREAMS))
    return names


def test_the_installed_websockets_has_every_name() -> None:
    assert missing_names() == []


@pytest.mark.parametrize("gone", PROTOCOL)
def test_each_name_that_is_gone_is_named(gone: str, installed: dict[str, set[str]]) -> None:
    assert missing_names() == []
    installed["Protocol"].remove(gone)
    assert missing_names() == [f"{MODULE}.Protocol.{gone}"]


def test_a_buffer_that_is_gone_is_named(installed: dict[str, set[str]]) -> None:
    installed["StreamReader"].clear()
    assert missing_names() == [f"{STREAMS}.StreamReader.buffer"]


def test_one_name_of_the_limit_is_enough(installed: dict[str, set[str]]) -> None:
    newer, older = LIMITS
    installed["Protocol"].remove(newer)
    assert missing_names() == [f"{MODULE}.Protocol.{newer}"]
    installed["Protocol"].add(older)
    assert missing_names() == []


@pytest.mark.parametrize("name", LIMITS)
def test_the_limit_is_set_by_the_name_that_is_there(name: str) -> None:
    conn = SimpleNamespace(**{name: 1})
    limit_messages(conn, 5)
    assert vars(conn) == {name: 5}


async def test_without_a_name_websockets_go_through_uvicorns_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(websockets_internals, "REASONS", {"Protocol": {"_gone": "for this test"}})
    async with (
        served(tmp_path, lambda _: [[Delta("Hel")], [Delta("lo")], [Done("stop")]]) as gateway,
        page_socket(gateway.url) as page,
    ):
        await page.send("r1")
        assert (await page.heard("r1")).text == "Hello"
    warnings = [record.getMessage() for record in caplog.records if "_gone" in record.getMessage()]
    assert len(warnings) == 1
