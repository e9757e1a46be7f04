"""Names of Responses' tools. Model servers get functions only.

A tool in a namespace is named by both; a custom tool is a function with one text.

Source: OpenAI API reference, "Create a model response", tools of the types `namespace` and `custom`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from gateway.dialects.json_encoding import json_bytes

CUSTOM_PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
"""Parameters of the function for a custom tool."""


class ToolName(NamedTuple):
    """A tool as its client knows it. custom: its input is text, not JSON."""

    name: str
    namespace: str | None = None
    custom: bool = False

    @property
    def of_function(self) -> str:
        """The name of the function that the model server gets."""
        return self.name if self.namespace is None else f"{self.namespace.rstrip('_')}__{self.name}"


def tool_names(tools: Sequence[Mapping[str, Any]]) -> dict[str, ToolName]:
    """Return the tools that differ from their functions, by the names of these."""
    names = []
    for tool in tools:
        if tool["type"] == "namespace":
            names += [
                ToolName(member["name"], tool["name"], member["type"] == "custom") for member in tool["tools"]
            ]
        elif tool["type"] == "custom":
            names.append(ToolName(tool["name"], custom=True))
    return {name.of_function: name for name in names}


def custom_arguments(input: str) -> str:
    """Return the arguments of the function for the input of a custom tool."""
    return json_bytes({"input": input}).decode()


def custom_input(arguments: str) -> str:
    """Return the input of a custom tool. Arguments of another shape are the input themselves."""
    try:
        told = msgspec.json.decode(arguments)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return arguments
    input = told.get("input") if isinstance(told, dict) else None
    return input if isinstance(input, str) else arguments
