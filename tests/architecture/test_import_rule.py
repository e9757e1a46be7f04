"""The import rule: which folder may import which and use which library. And the limit of a file's length."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "gateway").rglob("*.py"), *(ROOT / "transports").rglob("*.py")])
MAX_LINES = 300

# A room may import itself and the rooms listed here. A module's room is the longest key its name begins with.
MAY_IMPORT: dict[str, set[str]] = {
    "gateway": set(),
    "gateway.contract": set(),
    "gateway.core": {"gateway.contract"},
    "gateway.dialects": {"gateway.contract"},
    "gateway.issuer": {"gateway.contract"},
    "gateway.journals": {"gateway.contract"},
    "gateway.redis": {"gateway.contract"},
    "gateway.store": {"gateway.contract"},
    "gateway.telemetry": {"gateway.contract"},
    "gateway.web": {
        "gateway.contract",
        "gateway.core",
        "gateway.dialects",
        "gateway.rooms",
        "gateway.telemetry",
    },
    "gateway.page": set(),
    "gateway.rooms": {"gateway.contract", "gateway.core", "gateway.dialects"},
    "gateway.settings": {"gateway.contract", "gateway.settings_errors", "gateway.settings_files"},
    "gateway.settings_errors": {"gateway.contract"},
    "gateway.settings_files": {"gateway.contract"},
    "gateway.assembly": {
        "gateway.configured_conversations",
        "gateway.configured_devices",
        "gateway.configured_drain",
        "gateway.configured_issuer",
        "gateway.configured_rooms",
        "gateway.configured_limits",
        "gateway.configured_store",
        "gateway.configured_traces",
        "gateway.configured_transports",
        "gateway.contract",
        "gateway.core",
        "gateway.dialects",
        "gateway.journals",
        "gateway.lifespan",
        "gateway.rooms",
        "gateway.settings",
        "gateway.store",
        "gateway.telemetry",
        "gateway.web",
        "transports",
        "transports.llama",
        "transports.mqtt",
    },
    "gateway.configured_conversations": {
        "gateway.contract",
        "gateway.core",
        "gateway.settings",
        "gateway.store",
        "gateway.web",
    },
    "gateway.configured_devices": {
        "gateway.configured_transports",
        "gateway.contract",
        "gateway.core",
        "gateway.settings",
        "gateway.store",
        "transports.mqtt",
    },
    "gateway.configured_drain": {"gateway.contract", "gateway.core", "gateway.settings"},
    "gateway.configured_issuer": {"gateway.contract", "gateway.issuer", "gateway.settings"},
    "gateway.configured_rooms": {"gateway.contract", "gateway.core", "gateway.store"},
    "gateway.configured_limits": {"gateway.contract", "gateway.core", "gateway.redis", "gateway.settings"},
    "gateway.configured_store": {"gateway.contract", "gateway.core", "gateway.settings", "gateway.store"},
    "gateway.configured_traces": {"gateway.contract", "gateway.settings", "gateway.telemetry"},
    "gateway.configured_transports": {
        "gateway.contract",
        "gateway.core",
        "gateway.settings",
        "transports.llama",
        "transports.mqtt",
    },
    "gateway.lifespan": {
        "gateway.configured_limits",
        "gateway.configured_store",
        "gateway.contract",
        "gateway.core",
        "gateway.store",
        "gateway.web",
    },
    "gateway.process": {
        "gateway.assembly",
        "gateway.configured_store",
        "gateway.contract",
        "gateway.settings",
        "gateway.web",
    },
    "gateway.commands": {
        "gateway.assembly",
        "gateway.configured_traces",
        "gateway.contract",
        "gateway.core",
        "gateway.issuer",
        "gateway.process",
        "gateway.redis",
        "gateway.settings",
        "gateway.settings_errors",
        "gateway.store",
        "gateway.web",
        "transports.llama",
        "transports.mqtt",
    },
    "gateway.cli": {
        "gateway.commands",
        "gateway.contract",
        "gateway.process",
        "gateway.settings",
        "gateway.settings_errors",
        "gateway.telemetry",
    },
    "gateway.__main__": {"gateway.cli"},
    "transports": {"gateway.contract"},
    "transports.llama": {"gateway.contract"},
    "transports.mqtt": {"gateway.contract"},
}

ONLY_HOME: dict[str, str | tuple[str, ...]] = {
    "fastapi": "gateway.web",
    "starlette": "gateway.web",
    "sqlmodel": "gateway.store",
    "sqlalchemy": "gateway.store",
    "alembic": "gateway.store",
    "httpx": ("transports.llama", "gateway.issuer.discovery", "gateway.web.relay"),
    "httptools": ("transports.llama", "gateway.web.http.request_parser"),
    "joserfc": "gateway.issuer",
    "cryptography": "gateway.issuer",
    "aiomqtt": "transports.mqtt.link",
    "paho": "transports.mqtt.link",
    "opentelemetry": "gateway.telemetry.traces",
    "prometheus_client": "gateway.telemetry",
    "engineio": "gateway.web.socket_io",
    "socketio": "gateway.web.socket_io",
    "regex": "gateway.core.pacing",
    "redis": "gateway.redis.client",
    "throttled": "gateway.core.rate_limits",
    "typer": ("gateway.cli", "gateway.commands"),
    "pydantic_settings": "gateway.settings",
}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    return max((room for room in MAY_IMPORT if is_inside(module, room)), key=len)


def is_inside(module: str, room: str | tuple[str, ...]) -> bool:
    rooms = (room,) if isinstance(room, str) else room
    return any(module == room or module.startswith(room + ".") for room in rooms)


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else str(node.module) for name in names)


MODULES = {module_of(file) for file in FILES}


@cache
def imports() -> list[tuple[str, str]]:
    """Return all imports: the importing module, and the imported one."""
    return [(module_of(file), name) for file in FILES for name in imports_of(file)]


def test_a_room_imports_only_what_it_may() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, name in imports()
        if name.split(".")[0] in {"gateway", "transports"}
        and room_of(name) not in MAY_IMPORT[room_of(module)] | {room_of(module), "gateway", "transports"}
    ]
    assert wrong == []


def test_a_library_is_known_in_its_home_only() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, name in imports()
        if not is_inside(module, ONLY_HOME.get(name.split(".")[0], module))
    ]
    assert wrong == []


def test_the_contract_needs_the_standard_library_and_msgspec_only() -> None:
    known = {*sys.stdlib_module_names, "gateway", "msgspec"}
    wrong = [
        f"{module} imports {name}"
        for module, name in imports()
        if is_inside(module, "gateway.contract") and name.split(".")[0] not in known
    ]
    assert wrong == []


def test_a_file_can_be_read_in_one_sitting() -> None:
    lines = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {module_of(file): count for file, count in lines.items() if count > MAX_LINES} == {}


def test_a_module_says_what_it_is() -> None:
    without = [file for file in FILES if not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))]
    assert [module_of(file) for file in without] == []
