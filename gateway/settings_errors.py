"""Explains a wrong setting in one line, and finds names that are nearly settings."""

import os
from collections.abc import Collection
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import ValidationError

from gateway.contract.server_urls import without_password

_NEARLY = 0.85
"""Share of equal characters, of which a name with one letter less or more has 0.9."""

_PATTERNS = {
    "DATABASE_URL": "it must be like sqlite+aiosqlite:///sluice.db or "
    "postgresql+asyncpg://user:password@host/database, with %40 for an @ in the password",
    "LLM_API_KEY": "it must be visible ASCII without spaces, as in an HTTP header",
    "ISSUER_AUDIENCE": "it must be visible ASCII without spaces, as in the claim aud",
    "ISSUER_SCOPES_CLAIM": "it must be a claim, such as scope, or its path, such as realm_access.roles",
    "MQTT_BROKER_HOST": "it must be a host name or an address alone; the port is MQTT_BROKER_PORT",
    "MQTT_TOPIC_ROOT": "it must be levels of A-Z a-z 0-9 _ . - with a / between them, such as sluice/v1",
    "ROOT_PATH": "it must be a path that begins with a /, such as /chat",
}


def explain(error: ValidationError) -> str:
    """Return one line about the first wrong setting: its name, its value and what is allowed."""
    first = error.errors(include_url=False)[0]
    message = str(first["msg"]).removeprefix("Value error, ")
    if not first["loc"]:
        return message
    name = str(first["loc"][0]).upper()
    secret = any(
        word in name for word in ("PASSWORD", "KEY", "SECRET", "DATABASE_URL", "REDIS_URL", "HEADERS")
    )
    if first["type"] == "string_pattern_mismatch":
        message = _PATTERNS.get(name, message)
    return f"{name}={'…' if secret else shown(first['input'])} is not allowed: {message}"


def wrong_line(env_file: Path) -> int | None:
    """Return the number of the first line that sets nothing and is no comment, if there is one."""
    if not env_file.is_file():
        return None
    for binding in parse_stream(StringIO(env_file.read_text(encoding="utf-8"))):
        if binding.error or (binding.key is not None and binding.value is None):
            before = binding.original.string[: -len(binding.original.string.lstrip())]
            return binding.original.line + before.count("\n")
    return None


def env_file_settings(settings: Collection[str], env_file: Path = Path(".env")) -> dict[str, str]:
    """Return the settings that the file gives, without those that the environment has."""
    if not env_file.is_file():
        return {}
    known = {name.lower() for name in settings} - {name.lower() for name in os.environ}
    given = dotenv_values(env_file, encoding="utf-8")
    return {
        name.upper(): value for name, value in given.items() if name.lower() in known and value is not None
    }


def misspelt(settings: Collection[str], env_file: Path = Path(".env")) -> list[str]:
    """Return a line for each variable of the environment and the file whose name is nearly that of a setting.

    Other programs have variables too: only long names of several words count, and none of OpenTelemetry's.
    """
    known = {name.upper() for name in settings}
    given = {*os.environ, *(dotenv_values(env_file, interpolate=False) if env_file.is_file() else ())}
    doubtful = (
        name
        for name in sorted(given)
        if "_" in name and name.upper() not in known and not name.upper().startswith("OTEL_")
    )
    return [
        f"{shown(name)} is no setting, and is ignored; a similar one is {near}"
        for name in doubtful
        for near in get_close_matches(name.upper(), known, n=1, cutoff=_NEARLY)
    ]


def shown(value: object) -> str:
    """Return a value as one printable line of at most 200 characters, without passwords in addresses."""
    text = without_password(",".join(map(str, value)) if isinstance(value, tuple) else str(value))
    text = "".join(character if character.isprintable() else "�" for character in text)
    return text if len(text) <= 200 else f"{text[:200]}…"
