"""MQTT_PASSWORD_FILE: a secret that stands in no environment."""

from pathlib import Path

import pytest

from gateway.settings import SettingsError, load_settings


def test_the_password_is_what_the_file_says_without_its_newline(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("grün und süß\n")
    settings = load_settings(mqtt_password_file=str(file), mqtt_password="another")
    assert settings.mqtt_password == "grün und süß"


def test_without_a_file_the_variable_holds() -> None:
    assert load_settings(mqtt_password="said").mqtt_password == "said"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "not text"])
def test_a_file_that_cannot_be_read_is_one_line_that_names_it(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=f"MQTT_PASSWORD_FILE={file}") as refused:
        load_settings(mqtt_password_file=str(file))
    assert "\n" not in str(refused.value)
