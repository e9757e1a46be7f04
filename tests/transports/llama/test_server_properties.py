"""A model server's list of models is bounded, because `/v1/models` repeats it to every client."""

import json

from transports.llama.server_properties import MAX_MODELS, MAX_NAME_CHARS, models_told


def test_only_so_many_models_are_known() -> None:
    names = [f"model-{number}" for number in range(MAX_MODELS + 1)]
    told, _ = models_told(json.dumps({"data": [{"id": name} for name in names]}).encode())
    assert list(told) == names[:MAX_MODELS]


def test_a_name_that_no_request_may_hold_is_left_out() -> None:
    names = ["x" * (MAX_NAME_CHARS + 1), "y" * MAX_NAME_CHARS]
    told, _ = models_told(json.dumps({"data": [{"id": name} for name in names]}).encode())
    assert list(told) == names[1:]
