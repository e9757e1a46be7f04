"""Rules for workers: changed over HTTP, applied at once, and kept over a restart."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.record import replace
from gateway.contract.transport import Abilities, WorkerRule
from tests.web.api.test_workers import WORKER
from tests.web.gateway_server import served
from transports.scripted import ScriptedTransport, tokens

WORKERS = "/api/admin/workers"


class Ruled(ScriptedTransport):
    """Has two workers, and records the rules that it gets."""

    rules: Mapping[str, WorkerRule] = {}

    @property
    def abilities(self) -> Abilities:
        return Abilities(
            workers=lambda: [WORKER, replace(WORKER, name="w-18")], rule_workers=self.rule_workers
        )

    def rule_workers(self, rules: Mapping[str, WorkerRule]) -> None:
        self.rules = rules


def rules_of(gateway: Any) -> Mapping[str, WorkerRule]:
    rules: Mapping[str, WorkerRule] = gateway.transport.rules
    return rules


async def test_a_worker_is_disabled_limited_and_enabled_and_the_log_says_by_whose_key(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), kind=Ruled) as gateway:
        before = (await gateway.http.get(WORKERS)).json()
        disabled = await gateway.http.patch(f"{WORKERS}/w-17", json={"disabled": True})
        assert rules_of(gateway) == {"w-17": WorkerRule(disabled=True)}
        limited = (await gateway.http.patch(f"{WORKERS}/w-17", json={"max_requests": 3.0})).json()
        assert rules_of(gateway) == {"w-17": WorkerRule(disabled=True, max_requests=3)}
        listed = (await gateway.http.get(WORKERS)).json()
        await gateway.http.patch(f"{WORKERS}/w-17", json={"disabled": False, "max_requests": None})
        assert rules_of(gateway) == {}
        changes = (await gateway.http.get("/api/admin/audit")).json()
    assert [(one["name"], one["disabled"], one["max_requests"], one["by"]) for one in before] == [
        ("w-17", False, None, None),
        ("w-18", False, None, None),
    ]
    assert (disabled.status_code, disabled.json()["disabled"]) == (200, True)
    assert limited == listed[0]
    assert (limited["disabled"], limited["max_requests"], limited["by"]["name"]) == (True, 3, "local")
    assert (limited["worker"]["name"], limited["worker"]["max"]) == ("w-17", 8)
    assert [(change["action"], change["subject"], change["detail"]) for change in changes] == [
        ("worker.change", "w-17", {"disabled": False, "max_requests": None}),
        ("worker.change", "w-17", {"disabled": True, "max_requests": 3}),
        ("worker.change", "w-17", {"disabled": True, "max_requests": None}),
    ]


async def test_rules_are_kept_over_a_restart_also_for_a_worker_that_is_away(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), kind=Ruled) as gateway:
        await gateway.http.patch(f"{WORKERS}/w-18", json={"disabled": True})
    async with served(tmp_path, lambda _: tokens("x"), kind=Ruled) as gateway:
        assert rules_of(gateway) == {"w-18": WorkerRule(disabled=True)}
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        (away,) = (await gateway.http.get(WORKERS)).json()
        back = (await gateway.http.patch(f"{WORKERS}/w-18", json={"disabled": False})).status_code
        none = (await gateway.http.get(WORKERS)).json()
    assert (away["name"], away["disabled"], away["worker"]) == ("w-18", True, None)
    assert (back, none) == (200, [])


async def test_rules_that_another_process_stored_are_applied(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x"), kind=Ruled) as gateway:
        await gateway.http.patch(f"{WORKERS}/w-17", json={"max_requests": 1})
        gateway.assembled.gateway.worker_rules._kept = {}
        await gateway.assembled.gateway.worker_rules.reload()
        assert rules_of(gateway) == {"w-17": WorkerRule(max_requests=1)}


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("w-99", {"disabled": True}, 404),
        ("w-17", {}, 422),
        ("w-17", {"disabled": None}, 422),
        ("w-17", {"disabled": "yes"}, 422),
        ("w-17", {"max_requests": 0}, 422),
        ("w-17", {"max_requests": 1.5}, 422),
        ("w-17", {"max": 3}, 422),
        ("w-17", [], 422),
    ],
)
async def test_a_change_that_does_not_fit_is_refused(
    tmp_path: Path, name: str, body: Any, status: int
) -> None:
    async with served(tmp_path, lambda _: tokens("x"), kind=Ruled) as gateway:
        refused = await gateway.http.patch(f"{WORKERS}/{name}", json=body)
        assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")
        assert rules_of(gateway) == {}
        assert (await gateway.http.get("/api/admin/audit")).json() == []
