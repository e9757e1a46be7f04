"""docker-compose.yml gives no container more than it needs. tests/live/test_compose.py runs it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


@pytest.fixture(params=sorted(SERVICES))
def service(request: pytest.FixtureRequest) -> dict[str, Any]:
    return SERVICES[request.param]


def test_no_key_stands_twice() -> None:
    """Compose refuses the whole file then; safe_load takes the last one."""
    nodes = [yaml.compose((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert sorted(set(keys)) == sorted(keys), node.start_mark
            nodes += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value


def test_no_container_has_privileges(service: dict[str, Any]) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


def test_only_the_one_that_gives_files_away_has_capabilities() -> None:
    added = {name: service["cap_add"] for name, service in SERVICES.items() if "cap_add" in service}
    assert added == {"broker-config": ["CHOWN", "DAC_OVERRIDE", "FOWNER"]}


def test_no_container_can_change_its_image(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert all("size=" in folder for folder in service["tmpfs"])


def test_every_container_has_limits(service: dict[str, Any]) -> None:
    assert service["mem_limit"]
    assert service["pids_limit"]


def test_the_broker_does_not_run_as_root() -> None:
    assert SERVICES["mosquitto"]["user"] == "mosquitto"


def test_our_images_do_not_run_as_root() -> None:
    stages = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8").split("\nFROM ")
    built = {stage.split(" AS ")[1].split()[0]: stage for stage in stages[1:]}
    targets = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert targets == {"gateway", "llama"}
    for target in targets:
        assert "\nUSER sluice\n" in built[target]


def test_the_gateway_is_asked_under_names_of_this_machine_only() -> None:
    gateway = SERVICES["gateway"]
    assert gateway["environment"]["ALLOWED_HOSTS"] == "${ALLOWED_HOSTS:-localhost,127.0.0.1,[::1]}"
    assert [port.split(":")[0] for port in gateway["ports"]] == ["127.0.0.1"]
