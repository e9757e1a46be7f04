"""Each alert has cases, and a heading in docs/operations.md that says what to do."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus"
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")


def alerts() -> list[str]:
    (group,) = yaml.safe_load((RULES / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule["alert"] for rule in group["rules"]]


def test_the_page_has_the_alerts_and_no_others() -> None:
    assert re.findall(r"^### (Sluice\w+)$", PAGE, re.MULTILINE) == alerts()


@pytest.mark.parametrize("alert", alerts())
def test_an_alert_has_a_case_that_fires_and_one_that_does_not(alert: str) -> None:
    cases = yaml.safe_load((RULES / "alerts.test.yml").read_text(encoding="utf-8"))["tests"]
    mine = [test for case in cases for test in case["alert_rule_test"] if test["alertname"] == alert]
    assert sorted(bool(test["exp_alerts"]) for test in mine) == [False, True]
