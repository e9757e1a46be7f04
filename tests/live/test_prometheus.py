"""The dashboard and the alerts of deploy/ against scrapes of a real gateway under load, in Prometheus."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import Delta
from gateway.contract.keys import ALL_PERMISSIONS
from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.llama_server import requires_llama, running_llama
from tests.live.programs import ROOT
from tests.live.prometheus import Prometheus, running_prometheus
from tests.live.promtool import promtool, requires_promtool
from tests.live.schemas import misfits_of_dashboard
from tests.live.test_auto import answer, auto_gateway
from tests.live.test_gateway import running_worker
from tests.web.gateway_server import STREAM, served
from tests.web.key_holders import bearer, make_key
from transports.llama.embedded_server import tiny_model_path
from transports.scripted import Step

RULES = ROOT / "deploy/prometheus"
DASHBOARD = ROOT / "deploy/grafana/sluice.json"

pytestmark = [pytest.mark.live, requires_promtool()]


PANELS = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
EXPRESSIONS = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
ONLY_AFTER_A_FAULT = {"Errors by type", "Refused with 429"}
VARIABLES = {"$__rate_interval": "1m", "$job": "sluice", "$instance": ".*"}


def named_metrics() -> set[str]:
    """Return the words in the rules and the dashboard that look like a metric or one of its labels."""
    rules = re.sub(r"#.*|summary:.*", "", (RULES / "alerts.yml").read_text(encoding="utf-8"))
    text = "\n".join([rules, *(expression for _, expression in EXPRESSIONS)])
    return set(re.findall(r"\b(?:sluice|gen_ai|process)_\w+", text))


@requires_llama()
@requires_mosquitto()
async def test_dashboard_and_alerts_find_their_metrics_in_scrapes_under_load(tmp_path: Path) -> None:
    """Each expression of the dashboard has a series, except those of faults that did not happen."""
    async with (
        asyncio.timeout(120),
        running_llama(tiny_model_path()) as ours,
        running_mosquitto() as broker,
        running_worker(broker, ours),
        auto_gateway(tmp_path, ours.url, broker) as gateway,
    ):
        scrapes = []
        for _ in range(2):
            async with asyncio.TaskGroup() as load:
                asking = [load.create_task(answer(gateway)) for _ in range(8)]
                scrapes.append((await gateway.http.get("/metrics")).text)
                await asyncio.wait(asking)
            scrapes.append((await gateway.http.get("/metrics")).text)
    samples = [each for family in text_string_to_metric_families(scrapes[-1]) for each in family.samples]
    there = {sample.name for sample in samples} | {label for sample in samples for label in sample.labels}
    assert named_metrics() - there == set()
    for text in scrapes:
        assert await promtool("check", "metrics", folder=tmp_path, given=text.encode()) == (0, "")
    async with asyncio.timeout(120), running_prometheus(tmp_path, scrapes) as prometheus:
        assert await empty_panels(prometheus) <= ONLY_AFTER_A_FAULT
        with pytest.raises(AssertionError, match="parse error"):
            await prometheus.query("sum(")


async def empty_panels(prometheus: Prometheus) -> set[str]:
    """Return the titles of the panels with an expression that has no series."""
    empty = set()
    for title, expression in EXPRESSIONS:
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)
        assert "$" not in expression
        if not await prometheus.query(expression):
            empty.add(title)
    return empty


async def test_the_panels_of_faults_have_series_after_these_faults(tmp_path: Path) -> None:
    broken: list[Step] = [[Delta("Hi")], UpstreamFailed("broken")]
    async with served(tmp_path, lambda _: broken) as gateway:
        key = bearer(await make_key(gateway, "anna", ALL_PERMISSIONS, rate_per_minute=1))
        monitor = bearer(await make_key(gateway, "ops", ALL_PERMISSIONS, rate_per_minute=100))
        statuses, scrapes = [], []
        for _ in range(2):
            answer = await gateway.http.post(STREAM, json={"content": "Hi"}, headers=key)
            statuses.append(answer.status_code)
            scrapes.append((await gateway.http.get("/metrics", headers=monitor)).text)
    assert statuses == [200, 429]
    async with asyncio.timeout(120), running_prometheus(tmp_path, scrapes) as prometheus:
        assert not await empty_panels(prometheus) & ONLY_AFTER_A_FAULT


async def test_the_dashboard_fits_grafanas_schema() -> None:
    assert await misfits_of_dashboard(DASHBOARD.read_text(encoding="utf-8")) == ""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"editable": true', '"editable": "yes"'),
        ('"editable": true', '"edited": true'),
        ('"sort": 1', '"sort": 99'),
    ],
)
async def test_a_wrong_dashboard_does_not_fit(right: str, wrong: str) -> None:
    text = DASHBOARD.read_text(encoding="utf-8")
    assert right in text
    assert await misfits_of_dashboard(text.replace(right, wrong, 1)) != ""


async def test_the_rules_are_valid_and_each_alert_fires_when_it_should(tmp_path: Path) -> None:
    for command in (("check", "rules", "alerts.yml"), ("test", "rules", "alerts.test.yml")):
        code, said = await promtool(*command, folder=RULES)
        assert code == 0, said
