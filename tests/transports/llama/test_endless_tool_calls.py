"""A model server that never comes to the end of its tool calls."""

import msgspec
import pytest

from gateway.contract.errors import UpstreamFailed
from transports.llama.chunks import CallPart
from transports.llama.tool_calls import MAX_CALLS_CHARS, ToolCalls


def part(**given: object) -> CallPart:
    return msgspec.convert({"function": {}, **given}, CallPart)


@pytest.mark.parametrize(
    "fragment",
    [
        pytest.param({"index": 0, "function": {"arguments": "x" * 1000}}, id="arguments of one call"),
        pytest.param({"index": 0, "id": "a", "function": {"arguments": "x" * 1000}}, id="its id repeated"),
        pytest.param({"function": {"name": "f" * 1000}}, id="names"),
    ],
)
def test_tool_calls_without_an_end_are_stopped(fragment: dict[str, object]) -> None:
    calls = ToolCalls()
    calls.add([part(index=0, id="a", function={"name": "f", "arguments": "{"})])

    def go_on() -> None:
        for number in range(MAX_CALLS_CHARS // 1000 + 2):
            calls.add([part(**{"index": number + 1, **fragment})])

    with pytest.raises(UpstreamFailed, match="2000000 characters"):
        go_on()
