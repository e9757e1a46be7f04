"""The Kubernetes manifests against Kubernetes' schema, and their broker's commands on a real Mosquitto."""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.manifests import FOLDER, KUSTOMIZATION, MANIFESTS, Manifest, members, of_kind, pod_of
from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.guarded import shipped_settings
from tests.live.schemas import misfits_of_manifest

pytestmark = pytest.mark.live

OLDEST, NEWEST = "1.29", "1.37"
BUILT_IN = [each for each in MANIFESTS if each["apiVersion"] != "monitoring.coreos.com/v1"]


@pytest.mark.parametrize("kubernetes", [OLDEST, NEWEST])
async def test_the_manifests_fit_the_schema(kubernetes: str) -> None:
    text = yaml.safe_dump_all(BUILT_IN)
    assert len(BUILT_IN) > 10
    assert await misfits_of_manifest(text, kubernetes) == ""


async def test_a_wrong_manifest_does_not_fit() -> None:
    wrong: Manifest = yaml.safe_load(yaml.safe_dump(of_kind("Deployment")["gateway"]))
    pod_of(wrong)["terminationGracePeriod"] = 40
    assert "terminationGracePeriod" in await misfits_of_manifest(yaml.safe_dump(wrong), NEWEST)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl, which Debian 12 has too old")
def test_kubectl_builds_all_of_them_in_their_namespace() -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", FOLDER], capture_output=True, text=True, check=True
    ).stdout
    manifests = list(yaml.safe_load_all(built))
    listed = [
        each
        for name in KUSTOMIZATION["resources"]
        for each in yaml.safe_load_all((FOLDER / name).read_text())
    ]
    assert sorted(each["kind"] for each in manifests) == sorted(each["kind"] for each in listed)
    for manifest in manifests:
        assert manifest["kind"] == "Namespace" or manifest["metadata"]["namespace"] == "sluice"
    images = {image for each in manifests for image in members(each, "image")}
    assert all(image.startswith(("registry.example/", "eclipse-mosquitto:")) for image in images)


@requires_mosquitto()
async def test_the_brokers_commands_make_its_files_and_its_probe_connects(tmp_path: Path) -> None:
    """The commands of the pod, with its folders in a temporary one."""
    pod = pod_of(of_kind("Deployment")["mosquitto"])
    config = of_kind("ConfigMap")["mosquitto-config"]["data"]
    passwords = dict.fromkeys(of_kind("Secret")["sluice-broker"]["stringData"], "long and secret")
    for folder, files in (("given", config), ("passwords", passwords), ("mosquitto/config", {})):
        (tmp_path / folder).mkdir(parents=True)
        for name, content in files.items():
            (tmp_path / folder / name).write_text(content)
    (prepare,) = pod["initContainers"]
    assert await run(prepare["command"] + prepare["args"], tmp_path) == (0, "")
    made = tmp_path / "mosquitto/config"
    assert sorted(path.name for path in made.iterdir()) == [
        "acl",
        "mosquitto.conf",
        "mosquitto_pub",
        "passwd",
    ]
    assert "secret" not in (made / "passwd").read_text()
    (broker,) = pod["containers"]
    probe = broker["livenessProbe"]["exec"]["command"]
    async with running_mosquitto(shipped_settings(made)) as running:
        here = [*probe, "-p", str(running.address.port)]
        assert await run(here, tmp_path) == (0, "")
        (made / "mosquitto_pub").write_text("-u health\n-P another\n")
        assert (await run(here, tmp_path))[0] != 0


async def run(command: list[str], root: Path) -> tuple[int, str]:
    """Run a container's command with its folders below `root`. Return exit code and output."""
    folders = re.compile(r"(?<!\w)(?=/(?:given|passwords|mosquitto)\b)")
    command = [folders.sub(str(root), word) for word in command]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()
