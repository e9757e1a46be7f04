"""IPv6 addresses in settings, with brackets and without."""

import pytest

from gateway.contract.host_ports import split_address
from gateway.settings import Settings, SettingsError, load_settings


def settings(**chosen: object) -> Settings:
    return load_settings(_env_file=None, **chosen)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("broker.lan", ("broker.lan", "")),
        ("10.0.0.5:1883", ("10.0.0.5", "1883")),
        ("[fd00::5]:1883", ("fd00::5", "1883")),
        ("[::1]", ("::1", "")),
        ("::1", ("::1", "")),
    ],
)
def test_a_host_may_have_a_port_and_an_ipv6_address_needs_brackets_then(
    text: str, parts: tuple[str, str]
) -> None:
    assert split_address(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":1883",
        "host:",
        "host:abc",
        "mqtt://host:1883",
        "[::1",
        "::1]:1883",
        "[host]:1883",
        "[::1]1883",
        "a..b:1",
    ],
)
def test_other_texts_are_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"it must be HOST or HOST:PORT, such as .*\[fd00::5\]:1883"):
        split_address(text)


@pytest.mark.parametrize("address", ["::1", "[::1]"])
def test_an_address_is_taken_without_its_brackets(address: str) -> None:
    chosen = settings(host=address, mqtt_broker_host=address)
    assert (chosen.host, chosen.mqtt_broker_host) == ("::1", "::1")


def test_brackets_come_in_pairs() -> None:
    with pytest.raises(SettingsError, match=r"MQTT_BROKER_HOST=\[::1 is not allowed: it must be a host name"):
        settings(mqtt_broker_host="[::1")


@pytest.mark.parametrize("url", ["http://fd00::5:8000", "http://[fd00::5]:8000/"])
def test_the_internal_url_may_be_made_of_a_variable_with_an_ipv6_address(url: str) -> None:
    assert settings(internal_url=url).internal_url == "http://[fd00::5]:8000"


@pytest.mark.parametrize(
    "url", ["http://fd00::5", "http://[fd00::5]", "http://[fd00::5:8000", "http://:8000"]
)
def test_an_internal_url_without_host_or_port_is_refused(url: str) -> None:
    with pytest.raises(
        SettingsError, match=r"INTERNAL_URL=.* is not allowed: it must be http, a host and a port"
    ):
        settings(internal_url=url)
