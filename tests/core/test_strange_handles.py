"""Handles of other versions, of other programs, or of nobody, in the rows of replies that are taken over."""

import logging
from typing import Any

import pytest

from gateway.contract.events import Delta
from gateway.core.budgets import Budgets
from tests.core.test_key_ring import MemoryKeys
from tests.core.town import END, Town, text_of, told

FACTS: list[dict[str, Any]] = [
    {},
    {"mode": 7},
    {"asked_at": 1e308, "deadline_s": 1e308},
    {"asked_at": -1e308},
    {"asked_at": float("nan"), "deadline_s": float("nan")},
    {"asked_at": float("inf"), "deadline_s": float("-inf")},
    {"asked_at": "yesterday", "deadline_s": [60]},
    {"asked_at": True, "deadline_s": 2**80},
    {"key_id": "x", "prompt_chars": -1},
    {"key_id": 2**80, "prompt_chars": 2**80},
    {"key_id": 1.5},
    {"key_id": float("nan")},
    {"trace": 5, "model": 5},
    {"trace": "rubbish", "model": "\ud800"},
    {"earlier_thoughts": -5, "first_s": "x"},
    {"earlier_thoughts": 2**80, "first_s": -1e308},
    {"first_s": float("nan")},
    {"resumable": "yes", "unattended": 1, "exact": None},
    {"exact": True},
    {"of_a_later_version": {"a": [1]}},
]
HANDLES: list[dict[str, Any]] = [
    {},
    {"conversation_id": None},
    {"conversation_id": ["0"]},
    {"conversation_id": "0" * 100_000},
    {"reply": 5},
    {"reply": [["mode", "scripted"]]},
    {"worker": "w", "request": "r", "incarnation": -1},
]


async def adopted(town: Town, handle: Any, caplog: pytest.LogCaptureFixture) -> str:
    """Let a reply with this handle be taken over, and return its text at its end."""
    town.kept_row().handle = handle
    with caplog.at_level(logging.INFO):
        async with town.adopted([Delta("Hello")], END, adopt_s=60, budgets=Budgets(MemoryKeys())) as (
            home,
            run,
        ):
            text = text_of(await told(home, run))
    assert "Traceback" not in caplog.text
    assert "unexpected error" not in caplog.text
    return text


@pytest.mark.parametrize("facts", FACTS, ids=str)
async def test_facts_of_another_time_do_not_keep_it_from_its_end(
    town: Town, facts: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    await town.leave_reply([Delta("Hel")])
    handle = town.kept_row().handle
    assert handle is not None
    text = await adopted(town, {**handle, "reply": {"mode": "scripted", **facts}}, caplog)
    whole = facts.get("mode", "scripted") == "scripted"
    assert text == town.message().content == ("Hello" if whole else "Hel")
    assert town.message().status == ("complete" if whole else "interrupted")


@pytest.mark.parametrize("handle", HANDLES, ids=lambda handle: str(handle)[:40])
async def test_a_handle_that_names_nothing_is_interrupted_with_its_text(
    town: Town, handle: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await town.leave_reply([Delta("Hel")])
    assert await adopted(town, handle, caplog) == "Hel"
    assert (town.message().status, town.message().content) == ("interrupted", "Hel")
