"""The texts that are redacted as secrets."""

import base64
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import secrets
from gateway.contract.error_codes import error_of
from gateway.contract.errors import UpstreamFailed
from gateway.contract.secrets import password_of_url, remember_secrets, secrets_of_url, without_secrets
from gateway.settings import SettingsError, load_settings
from tests.web.gateway_server import served
from transports.scripted import Step


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_known", set())
    monkeypatch.setattr(secrets, "_known_pattern", None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mqtt://me:hunter2@broker:1883/x", "mqtt://…@broker:1883/x"),
        ("redis://:hunter2@h", "redis://…@h"),
        ("https://hunter2@h/x", "https://…@h/x"),
        ("postgresql+asyncpg://u:hunt@er2@h/db", "postgresql+asyncpg://…@h/db"),
        ("at 'http://u:hunter2@h' and \"http://u:hunter2@h\"", "at 'http://…@h' and \"http://…@h\""),
        ("Authorization: Bearer hunter2hunter2hunter2", "Authorization: Bearer …"),
        ("authorization: basic aHVudGVyMjpodW50ZXIy", "authorization: basic …"),
        ("key sk-hunter2-hunter2-hunter2!", "key …!"),
        ("?token=hunter2&x=1", "?token=…&x=1"),
        ("?api_key=hunter2&password=hunter2", "?api_key=…&password=…"),
        ("http://127.0.0.1:8080/a@b", "http://127.0.0.1:8080/a@b"),
        ("KEY \u017f\u212a-HUNTER2-HUNTER2-HUNTER2!", "KEY …!"),  # case folded: SK
        ("BA\u017fIC aHVudGVyMjpodW50ZXIy", "BA\u017fIC …"),
        ("Bearer tokens are missing", "Bearer tokens are missing"),
        ("Basic authentication failed", "Basic authentication failed"),
        ("Authorization: Bearer sk-…, or X-API-Key.", "Authorization: Bearer sk-…, or X-API-Key."),
    ],
)
def test_what_looks_like_a_secret_is_hidden_and_the_rest_is_not(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_a_short_secret_is_hidden_only_where_it_stands_alone() -> None:
    remember_secrets(["pw7q", "x"])
    assert without_secrets("with pw7q: 'pw7q', pw7qs and x") == "with …: '…', pw7qs and x"


@pytest.mark.parametrize(
    "spelt", [r"hunt\"er2\\ü/x", r"hunt\"er2\\\u00fc/x", r'hunt"er2\ü\/x', "hunt%22er2%5C%C3%BC%2Fx"]
)
def test_a_secret_is_hidden_as_json_and_urls_spell_it(spelt: str) -> None:
    remember_secrets(['hunt"er2\\ü/x'])
    assert without_secrets(f'{{"key":"{spelt}"}}') == '{"key":"…"}'


async def test_a_gateways_secrets_are_hidden_in_every_error(tmp_path: Path) -> None:
    rules: dict[str, Any] = {
        "llm_api_key": "known-llm-key-1",
        "mqtt_password": "known-mqtt-2",
        "ticket_secret": "known-secret-at-3",
    }
    said = ", ".join(rules.values())

    def fails(_: object) -> list[Step]:
        return [UpstreamFailed(said)]

    async with served(tmp_path, fails, **rules) as gateway:
        events = await gateway.events({"content": "Hi"})
        *_, kept = await gateway.messages()
    assert events[-1]["message"] == kept["error"]["message"] == "…, …, …"
    assert str(error_of("upstream_error", said)) == "…, …, …"


def test_the_password_of_a_url_is_known_as_it_is_sent_too() -> None:
    password, basic = secrets_of_url("http://anna:s%40crets@h:8080/v1")
    assert password == "s%40crets"
    assert base64.b64decode(basic) == b"anna:s@crets"
    assert secrets_of_url("http://127.0.0.1:8080") == []


def test_a_database_s_user_is_no_secret_and_its_password_is_one() -> None:
    assert password_of_url("postgresql+asyncpg://sluice@db/sluice?host=/run") == ""
    assert password_of_url("postgresql+asyncpg://sluice:s%40c:ret@db:5432/sluice") == "s%40c:ret"
    assert password_of_url("sqlite+aiosqlite:///sluice.db") == ""


def test_a_secret_behind_which_an_error_is_cut_is_hidden_whole() -> None:
    remember_secrets(["a-known-key-that-is-cut"])
    told = str(UpstreamFailed("x" * 790 + "a-known-key-that-is-cut"))
    assert "a-known" not in told


def test_a_long_text_of_what_looks_like_urls_costs_little() -> None:
    for text in ("://" * 100_000, "://" + ":" * 300_000, "://" + "a" * 300_000, "sk-" * 100_000):
        assert without_secrets(text) is not None


@pytest.mark.parametrize("given", ["x", "fifteen-chars-.", "               short            "])
def test_a_short_ticket_secret_is_refused_by_name_and_not_shown(given: str) -> None:
    with pytest.raises(SettingsError, match=r"^TICKET_SECRET=… is not allowed: .*16") as refused:
        load_settings(_env_file=None, ticket_secret=given)
    assert given.strip() not in str(refused.value).removeprefix("TICKET_SECRET") or given == "x"


@pytest.mark.parametrize("given", ["", "   ", "sixteen-chars-ab"])
def test_an_empty_or_long_ticket_secret_is_taken(given: str) -> None:
    assert load_settings(_env_file=None, ticket_secret=given).ticket_secret == given.strip()
