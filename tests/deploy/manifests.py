"""The Kubernetes manifests of deploy/kubernetes, parsed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/kubernetes"
Manifest = dict[str, Any]


def documents(path: Path) -> list[Manifest]:
    """Return the documents of one file."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


MANIFESTS: list[Manifest] = [
    each
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for each in documents(path)
]
(KUSTOMIZATION,) = documents(FOLDER / "kustomization.yaml")


def of_kind(kind: str) -> dict[str, Manifest]:
    """Return the manifests of a kind by name."""
    return {each["metadata"]["name"]: each for each in MANIFESTS if each["kind"] == kind}


def pod_of(deployment: Manifest) -> Manifest:
    """Return the pod's specification."""
    pod: Manifest = deployment["spec"]["template"]["spec"]
    return pod


def containers_of(deployment: Manifest) -> list[Manifest]:
    """Return all containers, also those that run before the others."""
    pod = pod_of(deployment)
    return [*pod.get("initContainers", ()), *pod["containers"]]


def probes_of(container: Manifest) -> dict[str, Manifest]:
    return {name: probe for name, probe in container.items() if name.endswith("Probe")}


def members(node: Any, name: str) -> Iterator[Any]:
    """Yield all values of this name, at every depth."""
    if isinstance(node, dict):
        if name in node:
            yield node[name]
        for value in node.values():
            yield from members(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from members(value, name)
