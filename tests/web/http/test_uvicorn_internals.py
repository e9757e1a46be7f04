"""The undocumented parts of uvicorn: each is checked, and without one its own connections are used."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from gateway.contract.events import Delta, Done
from gateway.web.http import uvicorn_internals
from gateway.web.http.uvicorn_internals import REASONS, missing_names, missing_socket_names
from tests.web.gateway_server import served
from tests.web.sockets.page_socket import page_socket

NAMES = [(class_name, name) for class_name, names in REASONS.items() for name in names]


def test_the_installed_uvicorn_has_every_name() -> None:
    assert missing_names() == []
    assert missing_socket_names() == []


@pytest.mark.parametrize(("class_name", "gone"), NAMES)
def test_each_name_that_is_gone_is_named(class_name: str, gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("changed")
    for each, names in REASONS.items():
        kept = dict.fromkeys(name for name in names if (each, name) != (class_name, gone))
        setattr(module, each, type(each, (), kept))
    monkeypatch.setitem(sys.modules, "changed", module)
    assert missing_names("changed") == [f"changed.{class_name}.{gone}"]


def test_a_module_that_is_gone_is_named() -> None:
    assert missing_names("uvicorn.gone") == ["uvicorn.gone"]


@pytest.mark.parametrize("gone", ["a name", "the module"])
async def test_without_a_name_streams_go_through_uvicorns_own_connections(
    gone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if gone == "a name":
        changed = dict(REASONS) | {"HttpToolsProtocol": {"_gone": "for this test"}}
        monkeypatch.setattr(uvicorn_internals, "REASONS", changed)
    else:
        monkeypatch.setattr(missing_names, "__defaults__", ("uvicorn.gone",))
    async with served(tmp_path, lambda _: [[Delta("Hel")], [Delta("lo")], [Done("stop")]]) as gateway:
        events = await gateway.events({"content": "Hi"})
        stored = await gateway.messages()
    assert "".join(event.get("content", "") for event in events) == "Hello"
    assert stored[-1]["content"] == "Hello"
    warnings = [record.getMessage() for record in caplog.records if "uvicorn" in record.getMessage()]
    assert len(warnings) == 1
    assert "gone" in warnings[0]


async def test_without_a_name_websockets_go_through_uvicorns_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    changed = {"WebSocketsSansIOProtocol": {"_gone": "for this test"}}
    monkeypatch.setattr(uvicorn_internals, "SOCKET_REASONS", changed)
    async with (
        served(tmp_path, lambda _: [[Delta("Hel")], [Delta("lo")], [Done("stop")]]) as gateway,
        page_socket(gateway.url) as page,
    ):
        await page.send("r1")
        assert (await page.heard("r1")).text == "Hello"
    warnings = [record.getMessage() for record in caplog.records if "uvicorn" in record.getMessage()]
    assert len(warnings) == 1
