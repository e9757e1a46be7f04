"""A wrong setting stops the start with one line: the setting, its value and what is allowed."""

import re
import socket
import sys
from pathlib import Path

import pytest

from gateway.configured_issuer import identities_of
from gateway.process.serve import listen
from gateway.settings import Settings, SettingsError, load_settings
from gateway.settings_errors import misspelt

WRONG = [
    ("LLM_COMM_MODE", "x"),
    ("LLM_MODE_ORDER", "sse,sse"),
    ("BREAKER_OPEN_S", "nan"),
    ("LLM_SERVER_URL", "http://llama:8080/v1/chat/completions"),
    ("LLM_SERVER_URL", "http://llama:8080/?x=1"),
    ("LLM_SERVER_URL", "http://llama:abc"),
    ("LLM_SERVER_URL", "http://[::1"),
    ("LLM_SERVER_URL", "http://a..b:8080"),
    ("LLM_SERVER_URL", f"http://{'x' * 64}.lan"),
    ("LLM_API_KEY", "sécret"),
    ("LLM_API_KEY", "secret\nX-Evil: 1"),
    ("MQTT_BROKER_HOST", "mqtt://broker"),
    ("MQTT_BROKER_HOST", "broker:1883"),
    ("MQTT_BROKER_HOST", "a b"),
    ("MQTT_BROKER_HOST", "a..b"),
    ("MQTT_BROKER_HOST", "x" * 64),
    ("MQTT_BROKER_PORT", "0"),
    ("MQTT_TOPIC_ROOT", "a/#"),
    ("GATEWAY_NAME", "my box"),
    ("GATEWAY_NAME", "x" * 65),
    ("GATEWAY_NAME", "büro"),
    ("WORKERS", "0"),
    ("WORKERS", "2"),  # with SQLite
    ("PROCESS_NUMBER", "-1"),
    ("PORT", "70000"),
    ("REPLY_DEADLINE_S", "inf"),
    ("LOG_LEVEL", "loud\nline"),
    ("CHUNK_SIZE", "0"),
    ("CORS_ORIGINS", "localhost:5173"),
    ("ALLOWED_HOSTS", "*"),
    ("TRUSTED_PROXIES", "proxy,10.0.0.1"),
    ("STAGES", "cache,filter"),
    ("STAGES", "cache,cache"),
    ("CACHE_TTL_S", "-1"),
    ("CACHE_MAX_BYTES", "64 MiB"),
    ("ISSUER_URL", "id.example"),
    ("ISSUER_URL", "http://id.example"),
    ("ISSUER_URL", "https://user:secret@id.example"),
    ("ISSUER_URL", "https://id.example/?tenant=1"),
    ("ISSUER_URL", "https://id.exämple"),
    ("ISSUER_URL", "https://[::1"),
    ("ISSUER_URL", "https://a..b"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a..b"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "Bearer secret"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "a=1,secret"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "a=sécret"),
    ("ISSUER_AUDIENCE", "two words"),
    ("ISSUER_SCOPES_CLAIM", "two words"),
]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where no .env is."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def line_about() -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings()
    line = str(refused.value)
    assert line.isprintable(), "one line"
    return line


@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda value: repr(value[:30]))
def test_the_line_names_the_setting(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    line = line_about()
    assert line.startswith(f"{name}=")
    assert "('" not in line, "the value as it was given"
    assert "should match pattern" not in line
    assert "cret" not in line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# all\nPORT=8000\n\nLLM COMM MODE=mqtt\n", 4),
        ("PORT\n", 1),
        ("TICKET_SECRET='two\nlines'\n=geheim\n", 3),
    ],
)
def test_a_line_of_the_env_file_that_sets_nothing(text: str, line: int, empty_folder: Path) -> None:
    (empty_folder / ".env").write_text(text)
    assert line_about() == f"The file .env is wrong in line {line}: it must be like NAME=value"


def test_an_env_file_may_have_comments_exports_and_settings_of_other_programs(empty_folder: Path) -> None:
    (empty_folder / ".env").write_text("# all\n\nexport PORT = 8123 # ours\nTHEIRS='a\nb'\nEMPTY=\n")
    assert load_settings().port == 8123


def test_names_that_are_nearly_settings_are_found(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / ".env").write_text(
        "MQTT_BROKER_PROT=1883\nllm_server_url=http://a:1\nPASSWORD_OF_OTHERS=x\n"
    )
    monkeypatch.setenv("LLM_COM_MODE", "mqtt")
    monkeypatch.setenv("REPLY_DEADLINE", "3")
    others = ("STAGE", "HOSTNAME", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "LOGNAME", "SERVER_PORT", "LOG_DIR")
    for name in others:
        monkeypatch.setenv(name, "1")
    assert [(line.split()[0], line.split()[-1]) for line in misspelt(Settings.model_fields)] == [
        ("LLM_COM_MODE", "LLM_COMM_MODE"),
        ("MQTT_BROKER_PROT", "MQTT_BROKER_PORT"),
        ("REPLY_DEADLINE", "REPLY_DEADLINE_S"),
    ]


def test_a_password_in_an_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_SERVER_URL", "http://user:geheim@llama:8080")
    line = line_about()
    assert "geheim" not in line
    assert "LLM_SERVER_URL=http://…@llama:8080" in line


@pytest.mark.parametrize(
    ("urls", "said"),
    [
        ("http://a:1,ftp://b:2,http://c:3", "ftp://b:2: it must begin with http:// or https://"),
        ("http://a:1,,http://c:3", "an empty address: it must begin with"),
        ("http://a:1,http://user:geheim@b:2", "http://…@b:2: a user or password in it is not sent"),
        (",", "an empty address: "),
    ],
)
def test_of_several_addresses_the_wrong_one_is_named(
    urls: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_SERVER_URL", urls)
    line = line_about()
    assert said in line
    assert "geheim" not in line


def test_several_addresses_are_taken_each_once_and_as_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_SERVER_URL", " http://a:1/v1 , http://b:2,http://a:1/")
    assert load_settings().model_servers == ("http://a:1", "http://b:2")


@pytest.mark.parametrize("name", ["MQTT_CA_FILE", "MQTT_CERT_FILE", "MQTT_KEY_FILE", "MQTT_PASSWORD_FILE"])
@pytest.mark.parametrize("path", ["nowhere.pem", "."])
def test_a_file_that_cannot_be_read_is_named(name: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTT_TLS", "1")
    monkeypatch.setenv(name, path)
    assert re.fullmatch(rf"{name}={path} cannot be read: [A-Z][a-z ]+", line_about())


def test_files_that_would_not_be_used_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key.pem"
    file.write_text("x")
    monkeypatch.setenv("MQTT_KEY_FILE", str(file))
    assert "needs MQTT_TLS=1" in line_about()
    monkeypatch.setenv("MQTT_TLS", "1")
    assert "needs MQTT_CERT_FILE" in line_about()


@pytest.mark.parametrize("name", ["MQTT_CA_FILE", "MQTT_CERT_FILE"])
def test_a_file_that_holds_no_certificate_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rubbish.pem"
    file.write_text("x")
    monkeypatch.setenv("MQTT_TLS", "1")
    monkeypatch.setenv(name, str(file))
    assert line_about().startswith(f"{name}={file} ")
    assert "PEM" in line_about()


def test_a_journal_larger_than_all_journals_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_TOTAL_BYTES", "2000")
    assert "JOURNAL_TOTAL_BYTES" in line_about()


def test_a_file_of_settings_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe\n")
    assert ".env cannot be read" in line_about()


def test_the_hosts_name_becomes_a_name_of_a_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "my büro")
    assert load_settings().gateway_name == "my-b-ro"


@pytest.mark.parametrize("host", ["nohost.invalid", "300.1.1.1", "192.0.2.7"])
def test_a_host_that_is_not_ours_is_named(host: str) -> None:
    with pytest.raises(
        SettingsError, match=rf"^HOST={host} is not an address of this machine: .*; choose another$"
    ):
        listen(load_settings(host=host, port=0))


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"^HOST=127.0.0.1 PORT={port} cannot be used: .*"):
            listen(load_settings(port=port))


@pytest.mark.parametrize("name", ["ISSUER_URL", "ISSUER_AUDIENCE"])
def test_an_issuer_needs_an_audience(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "https://id.example")
    assert line_about() == "ISSUER_URL and ISSUER_AUDIENCE need each other: set both, or none of them"


@pytest.mark.parametrize(
    "url", ["https://id.example/realms/a/", "http://127.0.0.1:8080", "http://localhost/x", "http://[::1]:9"]
)
def test_an_issuer_is_taken_as_it_is(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISSUER_URL", url)
    monkeypatch.setenv("ISSUER_AUDIENCE", "sluice")
    assert load_settings().issuer_url == url


def test_without_its_package_an_issuer_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISSUER_URL", "https://id.example")
    monkeypatch.setenv("ISSUER_AUDIENCE", "sluice")
    for name in [name for name in sys.modules if name.startswith("gateway.issuer")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "joserfc.jwk", None)
    with pytest.raises(SettingsError) as refused:
        identities_of(load_settings())
    assert str(refused.value).endswith(": pip install 'sluice-gateway[jwt]'")
