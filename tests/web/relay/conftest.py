"""Fixtures of the relay's tests."""

import pytest

from gateway.web.relay import relay


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for an owner that does not answer."""
    monkeypatch.setattr(relay, "WAIT_S", 0)
