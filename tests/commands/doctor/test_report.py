"""The lines, JSON and exit codes of `sluice doctor`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from gateway.commands.doctor import checks
from gateway.commands.doctor.checks import run_checks
from gateway.commands.doctor.findings import Finding, ok
from gateway.settings import Settings
from tests.commands.doctor.clinic import doctor
from tests.live.scripted_model import scripted_model


@pytest.fixture
async def model() -> AsyncIterator[str]:
    async with scripted_model() as url:
        yield url


async def test_exit_codes_tell_warnings_from_failures(tmp_path: Path, model: str) -> None:
    (tmp_path / "sluice.db").touch(0o644)
    warned = await asyncio.to_thread(doctor, tmp_path, LLM_SERVER_URL=model)
    strict = await asyncio.to_thread(doctor, tmp_path, "--strict", LLM_SERVER_URL=model)
    failed = await asyncio.to_thread(doctor, tmp_path, "--strict", LLM_SERVER_URL="http://127.0.0.1:9")
    assert (warned.code, strict.code, failed.code) == (0, 1, 2)
    assert warned.problem("files")[0] == "warning"


async def test_json_has_every_finding_and_the_worst_level(tmp_path: Path) -> None:
    told = (await asyncio.to_thread(doctor, tmp_path, "--json")).json()
    assert told["result"] == "failure"
    assert {"settings", "open files"} | set(checks.CHECKS) == {one["check"] for one in told["findings"]}
    for one in told["findings"]:
        assert set(one) == {"check", "level", "detail", "fix"}
        assert bool(one["fix"]) == (one["level"] in ("warning", "failure"))


def test_a_wrong_setting_has_two_lines_and_ends_the_checks(tmp_path: Path) -> None:
    seen = doctor(tmp_path, PORT="many")
    assert seen.code == 2
    level, wrong, fix = seen.problem("settings")
    assert (level, "PORT=many is not allowed" in wrong, ".env" in fix) == ("failure", True, True)
    assert seen.output.count("\n") == 2


def test_a_name_that_is_nearly_a_setting_is_a_warning(tmp_path: Path) -> None:
    seen = doctor(tmp_path, LLM_COM_MODE="mqtt")
    assert "LLM_COM_MODE is no setting, and is ignored; a similar one is LLM_COMM_MODE" in seen.output


def test_secrets_and_control_characters_are_never_printed(tmp_path: Path) -> None:
    secrets = {"MQTT_PASSWORD": "open-sesame", "LLM_API_KEY": "key-of-the-model", "TICKET_SECRET": "t" * 20}
    seen = doctor(
        tmp_path,
        MQTT_BROKER_HOST="127.0.0.1",
        MQTT_BROKER_PORT="9",
        MQTT_USERNAME="anna\x1b[2J",
        DATABASE_URL="postgresql+asyncpg://sluice:data-base-word@127.0.0.1:9/sluice",
        **secrets,
    )
    assert seen.code == 2
    assert not [word for word in (*secrets.values(), "data-base-word", "\x1b") if word in seen.output]


def test_nothing_is_changed_in_the_folder(tmp_path: Path) -> None:
    doctor(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_an_error_of_one_check_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: Settings) -> Sequence[Finding]:
        raise RuntimeError("a bug")

    async def fine(_: Settings) -> Sequence[Finding]:
        return [ok("fine")]

    monkeypatch.setattr(checks, "CHECKS", {"broken": broken, "fine": fine})
    found = [pair async for pair in run_checks(Settings(_env_file=None))]
    assert [(name, finding.level) for name, finding in found] == [("broken", "failure"), ("fine", "ok")]
    assert "RuntimeError: a bug" in found[0][1].detail
