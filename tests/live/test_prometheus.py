"""The dashboard and the alerts of deploy/ against a scrape of a real gateway under load."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.llama_server import requires_llama, running_llama
from tests.live.programs import ROOT
from tests.live.promtool import promtool, requires_promtool
from tests.live.test_auto import answer, auto_gateway
from tests.live.test_gateway import running_worker
from transports.llama.embedded_server import tiny_model_path

RULES = ROOT / "deploy/prometheus"
DASHBOARD = ROOT / "deploy/grafana/sluice.json"

pytestmark = [pytest.mark.live, requires_promtool()]


def named_metrics() -> set[str]:
    """Return the words in the rules and the dashboard that look like a metric or one of its labels."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    rules = re.sub(r"#.*|summary:.*", "", (RULES / "alerts.yml").read_text(encoding="utf-8"))
    return set(re.findall(r"\b(?:sluice|gen_ai|process)_\w+", "\n".join([rules, *expressions])))


@requires_llama()
@requires_mosquitto()
async def test_the_metrics_of_dashboard_and_alerts_are_in_a_scrape_under_load(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(60),
        running_llama(tiny_model_path()) as ours,
        running_mosquitto() as broker,
        running_worker(broker, ours),
        auto_gateway(tmp_path, ours.url, broker) as gateway,
        asyncio.TaskGroup() as load,
    ):
        asking = [load.create_task(answer(gateway)) for _ in range(8)]
        under_load = await gateway.http.get("/metrics")
        await asyncio.wait(asking)
        scrape = await gateway.http.get("/metrics")
    assert (under_load.status_code, scrape.status_code) == (200, 200)
    samples = [each for family in text_string_to_metric_families(scrape.text) for each in family.samples]
    there = {sample.name for sample in samples} | {label for sample in samples for label in sample.labels}
    assert named_metrics() - there == set()
    for text in (under_load.text, scrape.text):
        assert await promtool("check", "metrics", folder=tmp_path, given=text.encode()) == (0, "")


async def test_the_rules_are_valid_and_each_alert_fires_when_it_should(tmp_path: Path) -> None:
    for command in (("check", "rules", "alerts.yml"), ("test", "rules", "alerts.test.yml")):
        code, said = await promtool(*command, folder=RULES)
        assert code == 0, said
