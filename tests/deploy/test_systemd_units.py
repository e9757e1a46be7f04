"""The systemd units say what the programs do."""

import re
from pathlib import Path

import pytest

from gateway.settings import Settings

UNITS = sorted((Path(__file__).parents[2] / "deploy/systemd").glob("*.service"))


@pytest.fixture(params=UNITS, ids=lambda path: path.stem)
def unit(request: pytest.FixtureRequest) -> str:
    path: Path = request.param
    return path.read_text()


def setting(unit: str, name: str) -> str:
    (value,) = re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)
    return str(value)


def test_there_is_one_for_the_gateway_and_one_for_the_worker() -> None:
    assert [path.stem for path in UNITS] == ["sluice-gateway", "sluice-worker"]


def test_a_stop_leaves_time_to_drain(unit: str) -> None:
    drain_s: float = Settings.model_fields["drain_s"].default
    assert setting(unit, "KillSignal") == "SIGTERM"
    assert int(setting(unit, "TimeoutStopSec")) > drain_s
    assert f"DRAIN_S, {drain_s} s" in unit


def test_the_supervisor_of_several_processes_passes_the_signal_on_alone() -> None:
    gateway, _ = (path.read_text() for path in UNITS)
    assert setting(gateway, "KillMode") == "mixed"


def test_it_comes_back_unless_its_settings_are_wrong(unit: str) -> None:
    assert setting(unit, "Restart") == "always"
    assert setting(unit, "RestartPreventExitStatus") == "2"


def test_no_secret_stands_in_the_unit(unit: str) -> None:
    assert not re.search(r"^Environment=.*(PASSWORD|KEY|SECRET)=", unit, re.MULTILINE)
    assert "LoadCredential=mqtt_password:" in unit


def test_both_units_confine_their_program_alike() -> None:
    gateway, worker = (
        re.findall(
            r"^(?:DynamicUser|UMask|Capability|No|Lock|Memory.*W|Private|Proc|Protect|Remove|Restrict|System).*",
            path.read_text(),
            re.MULTILINE,
        )
        for path in UNITS
    )
    assert [line for line in gateway if not line.startswith(("Restart=", "RestartSec="))]
    assert gateway == worker


def test_a_program_that_grows_without_end_is_stopped(unit: str) -> None:
    assert re.fullmatch(r"\d+[MG]", setting(unit, "MemoryMax"))
    assert int(setting(unit, "TasksMax")) > 0


def test_it_may_open_more_files_than_a_login_may(unit: str) -> None:
    assert int(setting(unit, "LimitNOFILE")) >= 65536
