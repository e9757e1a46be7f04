"""The compose files give no container more than it needs. tests/live runs them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings import Settings

ROOT = Path(__file__).parents[2]
FILES = ("docker-compose.yml", "deploy/compose.cluster.yml")
ALL: dict[str, dict[str, dict[str, Any]]] = {
    file: yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["services"] for file in FILES
}
SERVICES = ALL["docker-compose.yml"]
CLUSTER = ALL["deploy/compose.cluster.yml"]
GATEWAYS = ("gateway-1", "gateway-2", "gateway-3")


@pytest.fixture(params=[(file, name) for file in FILES for name in sorted(ALL[file])], ids="-".join)
def service(request: pytest.FixtureRequest) -> dict[str, Any]:
    file, name = request.param
    return ALL[file][name]


@pytest.mark.parametrize("file", FILES)
def test_no_key_stands_twice(file: str) -> None:
    """Compose refuses the whole file then; safe_load takes the last one."""
    nodes = [yaml.compose((ROOT / file).read_text(encoding="utf-8"))]
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
    added, in_cluster = (
        {name: service["cap_add"] for name, service in services.items() if "cap_add" in service}
        for services in (SERVICES, CLUSTER)
    )
    assert added == {"broker-config": ["CHOWN", "DAC_OVERRIDE", "FOWNER"]}
    database = in_cluster.pop("postgres")
    assert database == ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"]
    assert in_cluster == added


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


def test_the_gateways_of_the_cluster_differ_in_their_name_and_password_alone() -> None:
    each = [dict(CLUSTER[name]) for name in GATEWAYS]
    assert [service.pop("hostname") for service in each] == list(GATEWAYS)
    passwords = [[f"{name}-password:/run/sluice:ro"] for name in GATEWAYS]
    assert [service.pop("volumes") for service in each] == passwords
    assert each[0] == each[1] == each[2]
    assert "ports" not in each[0]
    assert [port.split(":")[0] for port in CLUSTER["nginx"]["ports"]] == ["127.0.0.1"]


def test_the_proxy_of_the_cluster_knows_its_gateways_and_is_trusted() -> None:
    configuration = (ROOT / "deploy/nginx/cluster.conf").read_text(encoding="utf-8")
    assert re.findall(r"server (\S+):8000", configuration) == list(GATEWAYS)
    text = (ROOT / "deploy/compose.cluster.yml").read_text(encoding="utf-8")
    assert CLUSTER["gateway-1"]["environment"]["TRUSTED_PROXIES"] in re.findall(r"subnet: (\S+)", text)


def _needs(services: dict[str, Any], name: str) -> set[str]:
    """Return the services that Compose stops after this one."""
    found: set[str] = set()
    waiting = list(services[name].get("depends_on", ()))
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += services[each].get("depends_on", ())
    return found


@pytest.mark.parametrize(
    ("file", "name"), [("docker-compose.yml", "gateway"), *((FILES[1], name) for name in GATEWAYS)]
)
def test_a_gateway_stops_before_those_that_its_running_replies_need(file: str, name: str) -> None:
    needed = {each for each in ALL[file] if each.startswith(("worker", "postgres"))} | {"llama", "mosquitto"}
    assert needed <= _needs(ALL[file], name)


def test_the_proxy_of_the_cluster_stays_until_replies_have_ended() -> None:
    """It stops first, and ends when its connections do; without this Compose kills it after 10 s."""
    assert (
        int(CLUSTER["nginx"]["stop_grace_period"].removesuffix("s"))
        > Settings.model_fields["drain_s"].default
    )
    assert set(GATEWAYS) <= _needs(CLUSTER, "nginx")
