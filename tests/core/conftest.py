"""Fixtures of the tests of the core."""

from pathlib import Path

import pytest

from tests.core.town import Town


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)
