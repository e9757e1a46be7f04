"""The names of several processes with the same settings."""

import socket
from pathlib import Path

import pytest

from gateway.settings import Settings, SettingsError, load_settings
from gateway.settings_errors import env_file_settings

POSTGRES = "postgresql+asyncpg://sluice@/sluice"


def settings(**chosen: object) -> Settings:
    return load_settings(_env_file=None, **chosen)


def test_each_process_has_a_name_of_its_own() -> None:
    assert settings(gateway_name="box", process_number=3).gateway_name == "box-3"
    assert settings(gateway_name="box").gateway_name == "box"


def test_the_name_with_its_number_is_not_too_long() -> None:
    assert settings(gateway_name="x" * 62, process_number=3).gateway_name == "x" * 62 + "-3"
    with pytest.raises(SettingsError, match=r"GATEWAY_NAME=x+-3 has more than 64 characters"):
        settings(gateway_name="x" * 63, process_number=3)


def test_user_and_password_of_the_broker_follow_the_number_and_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "box.example")
    (tmp_path / "box.example-2.password").write_text("secret of 2\n")
    chosen = settings(
        mqtt_username="{host}-{n}",
        mqtt_password_file=f"{tmp_path}/{{host}}-{{n}}.password",
        process_number=2,
    )
    assert (chosen.mqtt_username, chosen.mqtt_password) == ("box.example-2", "secret of 2")
    assert chosen.gateway_name == chosen.mqtt_username


def test_without_a_number_it_counts_as_the_first() -> None:
    assert settings(mqtt_username="gateway-{n}").mqtt_username == "gateway-1"


def test_processes_get_the_settings_of_the_file_that_the_environment_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "1")
    file = tmp_path / ".env"
    file.write_text("port=2\nllm_comm_mode='mqtt'\nLLM_SERVER_URL=http://h:${PORT}\nPATH=/theirs\n")
    assert env_file_settings(Settings.model_fields, file) == {
        "LLM_COMM_MODE": "mqtt",
        "LLM_SERVER_URL": "http://h:1",
    }
    assert env_file_settings(Settings.model_fields, tmp_path / "nowhere") == {}


def test_several_processes_need_an_internal_url_each() -> None:
    with pytest.raises(SettingsError) as refused:
        settings(workers=4, database_url=POSTGRES, internal_url="http://10.0.0.5:9101")
    assert str(refused.value) == (
        "INTERNAL_URL=http://10.0.0.5:9101 is one address for WORKERS=4: each process needs a port of its "
        "own by {n}, its number, such as http://10.0.0.5:910{n}"
    )
    each = "http://10.0.0.5:910{n}"
    assert (
        settings(workers=4, database_url=POSTGRES, internal_url=each).internal_url == "http://10.0.0.5:9101"
    )
    assert settings(process_number=3, internal_url=each).internal_url == "http://10.0.0.5:9103"


def test_several_processes_on_sqlite_are_refused_with_one_sentence() -> None:
    with pytest.raises(SettingsError) as refused:
        settings(workers=4)
    assert str(refused.value) == "WORKERS=4 needs PostgreSQL in DATABASE_URL: only one process can use SQLite"
    assert settings(workers=4, database_url=POSTGRES).workers == 4
