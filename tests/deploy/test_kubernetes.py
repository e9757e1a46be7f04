"""The Kubernetes manifests fit together and to the program. For their schema see tests/live."""

import re

import pytest
import typer.main
import yaml

from gateway.cli import app
from gateway.settings import Settings
from tests.deploy.manifests import (
    FOLDER,
    KUSTOMIZATION,
    MANIFESTS,
    ROOT,
    Manifest,
    containers_of,
    members,
    of_kind,
    pod_of,
    probes_of,
)

DEPLOYMENTS = of_kind("Deployment")
SLUICE = [name for name in DEPLOYMENTS if name in {"gateway", "worker-1"}]
CONFIG = of_kind("ConfigMap")
SECRETS = of_kind("Secret")


@pytest.fixture(params=sorted(DEPLOYMENTS))
def deployment(request: pytest.FixtureRequest) -> Manifest:
    return DEPLOYMENTS[request.param]


def test_every_file_is_listed_or_an_addition() -> None:
    text = (FOLDER / "kustomization.yaml").read_text()
    listed = {*KUSTOMIZATION["resources"], *re.findall(r"^  # - (\S+\.yaml)$", text, re.MULTILINE)}
    assert listed == {path.name for path in FOLDER.glob("*.yaml")} - {
        "kustomization.yaml",
        "secret.example.yaml",
    }


def test_every_image_that_we_build_gets_a_registry() -> None:
    used = {container["image"] for each in DEPLOYMENTS.values() for container in containers_of(each)}
    assert {image["name"] for image in KUSTOMIZATION["images"]} == used - {"eclipse-mosquitto:2"}


def test_settings_are_the_programs() -> None:
    names = {
        name
        for config in CONFIG.values()
        for name in config["data"]
        if config is not CONFIG["mosquitto-config"]
    }
    names |= set(SECRETS["sluice"]["stringData"])
    names |= {
        each["name"] for name in SLUICE for env in members(pod_of(DEPLOYMENTS[name]), "env") for each in env
    }
    commented = re.findall(
        r"^ +# ([A-Z_]{4,}):", "\n".join(p.read_text() for p in FOLDER.glob("*.yaml")), re.MULTILINE
    )
    assert {"LLM_SERVER_URL", "TICKET_SECRET", "MQTT_PASSWORD_FILE", "DATABASE_URL"} <= names | set(commented)
    assert {name.lower() for name in {*names, *commented}} <= set(Settings.model_fields)


def test_the_values_of_the_settings_are_accepted() -> None:
    given = CONFIG["sluice-settings"]["data"] | CONFIG["sluice-gateway-settings"]["data"]
    settings = Settings(_env_file=None, **{name.lower(): value for name, value in given.items()})
    assert settings.host == "0.0.0.0"
    assert settings.port == 8000


def test_the_programs_arguments_exist() -> None:
    program = typer.main.get_command(app)
    for name in SLUICE:
        for container in containers_of(DEPLOYMENTS[name]):
            command, rest = program, list(container["args"])
            while rest and hasattr(command, "commands"):
                command = command.commands[rest.pop(0)]
            options = {option for parameter in command.params for option in parameter.opts}
            assert {argument for argument in rest if argument.startswith("--")} <= options


def test_every_name_that_is_used_exists(deployment: Manifest) -> None:
    pod = pod_of(deployment)
    for reference in members(pod, "configMapRef"):
        assert reference["name"] in CONFIG
    for reference in members(pod, "secretRef"):
        assert reference["name"] in SECRETS
    for secret in members(pod["volumes"], "secret"):
        keys = {item["key"] for item in secret.get("items", ())}
        assert keys <= set(SECRETS[secret["secretName"]]["stringData"])
    for claim in members(pod["volumes"], "claimName"):
        assert claim in of_kind("PersistentVolumeClaim")
    volumes = {volume["name"] for volume in pod["volumes"]}
    mounts = {mount["name"] for each in containers_of(deployment) for mount in each["volumeMounts"]}
    assert mounts == volumes


def test_a_deployment_a_service_and_the_network_policies_select_the_same_pods() -> None:
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in DEPLOYMENTS.values()]
    for each in DEPLOYMENTS.values():
        assert each["spec"]["selector"]["matchLabels"] == each["spec"]["template"]["metadata"]["labels"]
    selectors = [service["spec"]["selector"] for service in of_kind("Service").values()]
    policies = [policy["spec"] for policy in of_kind("NetworkPolicy").values()]
    selectors += [
        each.get("matchLabels", {}) for policy in policies for each in members(policy, "podSelector") if each
    ]
    for selector in selectors:
        assert any(selector.items() <= pod.items() for pod in labels), selector


def test_addresses_in_the_settings_are_services_with_that_port() -> None:
    settings = CONFIG["sluice-settings"]["data"]
    url = re.fullmatch(r"http://([a-z-]+):(\d+)", settings["LLM_SERVER_URL"])
    assert url is not None
    addresses = {
        url[1]: int(url[2]),
        settings["MQTT_BROKER_HOST"]: Settings.model_fields["mqtt_broker_port"].default,
    }
    for host, port in addresses.items():
        assert [each["port"] for each in of_kind("Service")[host]["spec"]["ports"]] == [port]


def test_ports_have_the_names_and_numbers_by_which_others_call_them(deployment: Manifest) -> None:
    ports = {port["name"]: port["containerPort"] for port in pod_of(deployment)["containers"][0]["ports"]}
    for get in members(pod_of(deployment), "httpGet"):
        assert get["port"] in ports
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for service in of_kind("Service").values():
        if service["spec"]["selector"].items() <= labels.items():
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= set(ports)
    for policy in of_kind("NetworkPolicy").values():
        if (
            "ingress" in policy["spec"]
            and policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
        ):
            assert set(members(policy["spec"], "port")) <= set(ports.values())


def test_a_pod_meets_the_restricted_standard_and_more(deployment: Manifest) -> None:
    pod = pod_of(deployment)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    for container in containers_of(deployment):
        confined = container["securityContext"]
        assert confined == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"]["cpu"]
        assert container["resources"]["limits"]["memory"]
    (namespace,) = of_kind("Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_our_pods_run_as_the_images_user() -> None:
    (uid,) = re.findall(r"useradd .*--uid (\d+)", (ROOT / "deploy/Dockerfile").read_text())
    for name in (*SLUICE, "model-server"):
        assert pod_of(DEPLOYMENTS[name])["securityContext"]["runAsUser"] == int(uid)


@pytest.mark.parametrize("name", SLUICE)
def test_a_stop_leaves_time_to_drain(name: str) -> None:
    drain_s: float = Settings.model_fields["drain_s"].default
    assert pod_of(DEPLOYMENTS[name])["terminationGracePeriodSeconds"] >= drain_s + 10
    assert f"DRAIN_S, {drain_s} s" in " ".join(
        (FOLDER / f"{name.partition('-')[0]}.yaml").read_text().split()
    )


def test_one_gateway_at_a_time_uses_the_database() -> None:
    spec = DEPLOYMENTS["gateway"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_several_gateways_differ_from_one_only_where_they_must() -> None:
    several, one = of_kind("StatefulSet")["gateway"], DEPLOYMENTS["gateway"]
    assert several["spec"]["selector"] == one["spec"]["selector"]
    assert several["spec"]["template"]["metadata"] == one["spec"]["template"]["metadata"]
    pods = [pod_of(each) for each in (several, one)]
    for name in ("automountServiceAccountToken", "enableServiceLinks", "terminationGracePeriodSeconds"):
        assert pods[0][name] == pods[1][name]
    (gateway,), (alone,) = (pod["containers"] for pod in pods)
    for name in ("image", "args", "envFrom", "ports", "resources", "securityContext", *probes_of(alone)):
        assert gateway[name] == alone[name]
    names = {each["name"] for each in gateway["env"]} - {"POD_IP"}
    assert {name.lower() for name in names} <= set(Settings.model_fields)
    assert "data" not in {volume["name"] for volume in pods[0]["volumes"]}


def test_each_gateway_that_the_autoscaler_may_start_has_a_password() -> None:
    autoscaler = of_kind("HorizontalPodAutoscaler")["gateway"]["spec"]
    several = of_kind("StatefulSet")["gateway"]["spec"]
    assert "replicas" not in several
    assert autoscaler["scaleTargetRef"]["name"] in of_kind("StatefulSet")
    first, most = several["ordinals"]["start"], autoscaler["maxReplicas"]
    passwords = set(SECRETS["sluice-gateways"]["stringData"])
    assert passwords == {f"gateway-{number}" for number in range(first, first + most)}
    (metric,) = members(autoscaler["metrics"], "metric")
    assert f'"{metric["name"]}"' in (ROOT / "gateway/telemetry/sluice_families.py").read_text()


def test_a_node_is_drained_one_gateway_at_a_time() -> None:
    budget = of_kind("PodDisruptionBudget")["gateway"]["spec"]
    assert budget["maxUnavailable"] == 1
    labels = of_kind("StatefulSet")["gateway"]["spec"]["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"] == labels


def test_every_pod_is_probed_and_the_gateway_on_its_own_paths(deployment: Manifest) -> None:
    (container,) = pod_of(deployment)["containers"]
    assert {"livenessProbe", "readinessProbe"} <= set(probes_of(container))
    if deployment is DEPLOYMENTS["gateway"]:
        paths = {name: probe["httpGet"]["path"] for name, probe in probes_of(container).items()}
        assert paths == {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}
        allowed = CONFIG["sluice-gateway-settings"]["data"]["ALLOWED_HOSTS"]
        for probe in probes_of(container).values():
            assert probe["httpGet"]["httpHeaders"] == [{"name": "Host", "value": allowed}]


def test_the_broker_has_the_shipped_files_and_a_password_for_each_of_their_clients() -> None:
    files = CONFIG["mosquitto-config"]["data"]
    assert files["mosquitto.conf"] == (ROOT / "mosquitto.conf").read_text()
    assert files["acl"] == (ROOT / "deploy/mosquitto/acl").read_text()
    clients = set(SECRETS["sluice-broker"]["stringData"])
    users = set(re.findall(r"^user (\S+)$", files["acl"], re.MULTILINE))
    assert clients - {"health"} == users - {"device-1"}


def test_the_broker_can_hash_its_passwords() -> None:
    """mosquitto_passwd writes a file to /tmp, and the containers' own is read-only."""
    (prepare,) = pod_of(DEPLOYMENTS["mosquitto"])["initContainers"]
    assert "mosquitto_passwd" in prepare["args"][0]
    (folder,) = (mount["name"] for mount in prepare["volumeMounts"] if mount["mountPath"] == "/tmp")
    (volume,) = (each for each in pod_of(DEPLOYMENTS["mosquitto"])["volumes"] if each["name"] == folder)
    assert volume["emptyDir"]["medium"] == "Memory"


def test_no_deployment_contains_a_secret() -> None:
    shown = yaml.safe_dump([each for each in MANIFESTS if each["kind"] != "Secret"])
    assert not re.search(r"(?:PASSWORD|_KEY|SECRET): \S", shown)


def test_a_worker_gets_no_secret_of_the_gateway() -> None:
    pod = pod_of(DEPLOYMENTS["worker-1"])
    assert not list(members(pod, "secretRef"))
    keys = {(each["name"], each["key"]) for each in members(pod, "secretKeyRef")}
    assert keys == {("sluice", "LLM_API_KEY"), ("sluice", "OTEL_EXPORTER_OTLP_HEADERS")}
    assert all(each["optional"] for each in members(pod, "secretKeyRef"))


def test_nothing_enters_or_leaves_without_a_policy() -> None:
    everything = of_kind("NetworkPolicy")["nothing-else"]["spec"]
    assert everything == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_prometheus_finds_the_gateway_under_the_alerts_job() -> None:
    monitor = of_kind("ServiceMonitor")["sluice"]["spec"]
    service = of_kind("Service")["gateway"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    labelled = [each for each in MANIFESTS if each["kind"] == "Service" and each["metadata"].get("labels")]
    assert {each["metadata"]["name"] for each in labelled} == {"gateway"}, "another one is scraped twice"
    job = service["metadata"]["labels"][monitor["jobLabel"]]
    assert f'job="{job}"' in (ROOT / "deploy/prometheus/alerts.yml").read_text()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    credentials = endpoint["authorization"]["credentials"]
    assert credentials["key"] in SECRETS[credentials["name"]]["stringData"]


def test_the_page_creates_the_secrets_with_their_keys_and_names_every_file() -> None:
    page = (ROOT / "deploy/README.md").read_text()
    commands = page.partition("## Kubernetes")[2].partition("```sh")[2].partition("```")[0].split("kubectl ")
    made = {
        words[0]: set(re.findall(r"--from-literal=([\w-]+)=", command))
        for command in commands
        if (words := command.partition("create secret generic ")[2].split())
    }
    assert made == {name: set(SECRETS[name]["stringData"]) for name in ("sluice", "sluice-broker")}
    named = set(re.findall(r"deployment[ /](\w+)|service/(\w+)", " ".join(commands)))
    assert {name for pair in named for name in pair if name} == {"gateway"}
    variables = set(re.findall(r"\b(MODEL_[A-Z]+|LLM_SERVER_URL)=", page))
    assert variables <= set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
