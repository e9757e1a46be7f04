"""The order checkers, run over streams that real client packages took, and over those that broke them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dialects.order import ag_ui, ai_sdk, anthropic, ollama, responses
from tests.dialects.order.frames import Heard

WIRES = Path(__file__).parent / "wires"
CHECKERS: dict[str, Callable[[bytes], Heard]] = {
    "ag-ui": ag_ui.hear,
    "ai-sdk": ai_sdk.hear,
    "anthropic": anthropic.hear,
    "ollama": ollama.hear,
    "responses": responses.hear,
}


def streams(folder: str) -> list[str]:
    return sorted(path.stem for path in (WIRES / folder).glob("*.txt"))


def hear(folder: str, name: str) -> Heard:
    checker = next(check for dialect, check in CHECKERS.items() if name.startswith(f"{dialect}-"))
    return checker((WIRES / folder / f"{name}.txt").read_bytes())


@pytest.mark.parametrize("name", streams("accepted"))
def test_a_stream_that_every_client_takes_is_in_order(name: str) -> None:
    assert hear("accepted", name).ends


@pytest.mark.parametrize("name", streams("rejected"))
def test_a_stream_that_breaks_a_client_is_out_of_order(name: str) -> None:
    with pytest.raises((AssertionError, KeyError, TypeError, ValueError)):
        hear("rejected", name)
