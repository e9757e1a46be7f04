"""Each way to run the gateway gives it the time that its stop takes while PostgreSQL does not answer."""

import re
from pathlib import Path

import pytest
import yaml

from gateway.core.liveness import LEAVE_S
from gateway.core.reply_row import STORAGE_RETRY_S
from gateway.process.serve import GRACEFUL_S
from gateway.settings import Settings
from gateway.store.pools import READERS
from gateway.store.postgres import COMMIT_S, FINISH_S
from gateway.store.postgres_connection import CLOSE_S
from gateway.store.postgres_link import ANSWER_S
from gateway.store.sql_store import READ_DEADLINE_S
from gateway.store.writer import DEADLINE_S, LAST_TRIES_S
from gateway.telemetry.traces.exporting import LAST_SPANS_S
from tests.deploy.manifests import of_kind, pod_of

ROOT = Path(__file__).parents[2]
DRAIN_S: float = Settings.model_fields["drain_s"].default
AFTER_DRAIN_S = 40
"""As in docs/settings.md."""

STEPS = {
    "the ends of replies are written": STORAGE_RETRY_S + DEADLINE_S,
    "the tokens of their keys are read": READ_DEADLINE_S,
    "the server's connections end": GRACEFUL_S,
    "it leaves the list of gateways": LEAVE_S,
    "the connection for signals is closed": ANSWER_S,
    "ends are written that could not be before": LAST_TRIES_S,
    "the last commit": COMMIT_S,
    "reads that nobody waits for": FINISH_S,
    "the connections to the database are closed": CLOSE_S * (READERS + 1),
    "the last spans are sent": LAST_SPANS_S,
}


def _given() -> dict[str, int]:
    systemd = (ROOT / "deploy/systemd/sluice-gateway.service").read_text()
    given = {"systemd": int(re.findall(r"^TimeoutStopSec=(\d+)$", systemd, re.MULTILINE)[0])}
    for file in ("docker-compose.yml", "deploy/compose.cluster.yml"):
        for name, service in yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["services"].items():
            if name.startswith("gateway"):
                given[f"{file}, {name}"] = int(service["stop_grace_period"].removesuffix("s"))
    for kind in ("Deployment", "StatefulSet"):
        for name, manifest in of_kind(kind).items():
            if name.startswith("gateway"):
                given[f"{kind} {name}"] = pod_of(manifest)["terminationGracePeriodSeconds"]
    return given


def test_the_steps_of_a_stop_take_no_longer_than_the_page_says() -> None:
    assert sum(STEPS.values()) <= AFTER_DRAIN_S
    assert f"`DRAIN_S` + {AFTER_DRAIN_S} s" in (ROOT / "docs/settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("place", "seconds"), _given().items())
def test_nothing_kills_a_gateway_that_ends_by_itself(place: str, seconds: int) -> None:
    assert seconds >= DRAIN_S + AFTER_DRAIN_S, place


def test_all_ways_to_run_a_gateway_are_there() -> None:
    assert len(_given()) == 7
