"""The input of a custom tool, which models write as they like."""

import pytest

from gateway.dialects.response_tool_names import custom_input

DEEP = '{"input":' + "[" * 100_000 + "]" * 100_000 + "}"


@pytest.mark.parametrize("arguments", ["plain", '{"input":1}', "[1]", DEEP, '"\ud800"'])
def test_arguments_of_another_shape_are_the_input(arguments: str) -> None:
    assert custom_input(arguments) == arguments
