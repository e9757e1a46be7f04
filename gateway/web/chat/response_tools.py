"""The tools of a Responses request as functions. Source: OpenAI API reference, "Create a model response"."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.contract.misfits import misfit
from gateway.dialects.response_tool_names import CUSTOM_PARAMETERS, ToolName
from gateway.web.chat.response_items import Item

Tool = dict[str, Any]
Placed = tuple[str, Tool]
"""A tool behind the name of its place in the request."""

MAX_FUNCTIONS = 512
_LEFT_OUT = ("web_search", "image_generation", "tool_search")
"""Beginnings of types. Agents send these in every request, beside functions."""


def usable_tools(tools: Sequence[Tool], new: Sequence[Item], earlier: Sequence[Item]) -> list[Placed]:
    """Return the tools of a request and those of its conversation, with their places.

    Without those that only OpenAI can run and agents always send. If there are no others, all are returned:
    such a request needs them, and is refused.

    Args:
        tools: of the request.
        new: items of the request; `additional_tools` have tools. A later tool replaces one of the same name.
        earlier: items before the request, whose tools were accepted.
    """
    added = [(f"input.{at}.tools", item) for at, item in enumerate(new)]
    latest: dict[str, Placed] = {}
    for place, item in [*(("input", item) for item in earlier), *added]:
        if item.get("type") == "additional_tools":
            latest |= {_identity(tool): (at, tool) for at, tool in _placed(place, item.get("tools"))}
    own = [one for one in _placed("tools", tools) if _identity(one[1]) not in latest]
    placed = [*own, *latest.values()]
    return [one for one in placed if not str(one[1].get("type")).startswith(_LEFT_OUT)] or placed


def _placed(place: str, tools: object) -> list[Placed]:
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise misfit(place, "must be a list of tools")
    return [(f"{place}.{at}", tool) for at, tool in enumerate(tools)]


def _identity(tool: Tool) -> str:
    return f"{tool.get('type')} {tool.get('name')}"


def functions_of(tools: Sequence[Placed]) -> list[Tool]:
    """Return the tools as OpenAI's chat API writes them. Unprocessable for tools that are no functions."""
    functions: list[Tool] = []
    names: dict[str, bool] = {}
    for at, tool in tools:
        grouped = tool.get("type") == "namespace"
        for place, function in _members(at, tool) if grouped else [_function(at, tool)]:
            name = function["name"]
            if name in names and (grouped or names[name]):
                raise misfit(f"{place}.name", f"{name[:100]!r} is the name of another tool too")
            names[name] = grouped
            functions.append({"type": "function", "function": function})
    if len(functions) > MAX_FUNCTIONS:
        raise misfit("tools", f"must have at most {MAX_FUNCTIONS} functions")
    return functions


def _members(place: str, tool: Tool) -> Iterator[tuple[str, Tool]]:
    namespace, members = tool.get("name"), tool.get("tools")
    if not isinstance(namespace, str):
        raise misfit(f"{place}.name", "must be a string")
    if not isinstance(members, list):
        raise misfit(f"{place}.tools", "must be a list of tools")
    for at, member in enumerate(members):
        if not isinstance(member, dict):
            raise misfit(f"{place}.tools.{at}", "must be an object")
        at_member, function = _function(f"{place}.tools.{at}", member)
        yield at_member, {**function, "name": ToolName(function["name"], namespace).of_function}


def _function(place: str, tool: Mapping[str, Any]) -> tuple[str, Tool]:
    match tool:
        case {"type": "function", "name": str(name)}:
            function: dict[str, Any] = {"name": name, "parameters": tool.get("parameters")}
            if function["parameters"] is None:
                function["parameters"] = {}
            if not isinstance(function["parameters"], dict):
                raise misfit(f"{place}.parameters", "must be an object")
            if isinstance(tool.get("description"), str):
                function["description"] = tool["description"]
            if isinstance(tool.get("strict"), bool):
                function["strict"] = tool["strict"]
            return place, function
        case {"type": "custom", "name": str(name)}:
            return place, {"name": name, "description": _described(tool), "parameters": CUSTOM_PARAMETERS}
        case {"type": "function" | "custom"}:
            raise misfit(f"{place}.name", "must be a string")
        case {"type": str(kind)}:
            raise misfit(
                f"{place}.type", f"{kind[:50]!r} is not supported here; function, custom and namespace are"
            )
        case _:
            raise misfit(f"{place}.type", "must be a string")


def _described(tool: Mapping[str, Any]) -> str:
    """Return the description of a custom tool with its grammar, which no model server enforces."""
    said = tool.get("description")
    description = said if isinstance(said, str) else ""
    match tool.get("format"):
        case {"type": "grammar", "syntax": str(syntax), "definition": str(definition)}:
            return f"{description}\n\nThe input follows this {syntax} grammar:\n{definition}"
        case _:
            return description
