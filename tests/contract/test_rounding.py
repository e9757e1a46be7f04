"""Rounding of measurements."""

import pytest

from gateway.contract.rounding import one_decimal

EXAMPLES = [(0, 0.0), (0.04, 0.0), (12.34, 12.3), (12.36, 12.4), (999.96, 1000.0), (1e12 / 3, 333333333333.3)]


@pytest.mark.parametrize(("value", "shown"), EXAMPLES)
def test_a_number_is_rounded_to_tenths(value: float, shown: float) -> None:
    assert one_decimal(value) == shown == round(value, 1)
