"""The limits of a model server's properties, because `/v1/models` repeats them to every client."""

import json

import pytest

from gateway.contract.accepted_kinds import ALL_KINDS
from gateway.contract.errors import ProtocolViolation
from transports.llama.server_properties import (
    MAX_MODELS,
    MAX_NAME_CHARS,
    accepts_told,
    context_told,
    models_told,
    slots_told,
)

DEEP = b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def test_only_so_many_models_are_known() -> None:
    names = [f"model-{number}" for number in range(MAX_MODELS + 1)]
    told, _ = models_told(json.dumps({"data": [{"id": name} for name in names]}).encode())
    assert list(told) == names[:MAX_MODELS]


def test_a_name_that_no_request_may_hold_is_left_out() -> None:
    names = ["x" * (MAX_NAME_CHARS + 1), "y" * MAX_NAME_CHARS]
    told, _ = models_told(json.dumps({"data": [{"id": name} for name in names]}).encode())
    assert list(told) == names[1:]


def test_an_answer_that_is_nested_too_deep_tells_nothing() -> None:
    with pytest.raises(ProtocolViolation):
        models_told(DEEP)
    assert (slots_told(DEEP), context_told(DEEP), accepts_told(DEEP)) == (None, None, ALL_KINDS)


@pytest.mark.parametrize("slots", [-1, 0, 2**53, 2**64])
def test_a_number_of_slots_that_cannot_be_true_is_none(slots: int) -> None:
    assert slots_told(json.dumps({"total_slots": slots}).encode()) is None


@pytest.mark.parametrize("tokens", [-1, 0, 2**64])
def test_a_context_that_cannot_be_true_is_none(tokens: int) -> None:
    assert context_told(json.dumps({"default_generation_settings": {"n_ctx": tokens}}).encode()) is None
