"""The tools of Anthropic's API as functions.

Models of Anthropic know the client's tools of types such as `bash_20250124` without a schema; other models
get it here. Text editors are refused: clients disagree on the names of their arguments.
"""

from collections.abc import Mapping
from typing import Any

from gateway.contract.misfits import misfit

Object = dict[str, Any]


def function_of(at: int, tool: Mapping[str, Any]) -> Object:
    """Return a tool in OpenAI's form. Raises Unprocessable if it has no schema. at: its index."""
    match tool:
        case {"name": str(name), "input_schema": dict(schema)}:
            return _function(name, tool.get("description"), schema)
        case {"type": str(kind), "name": str(name)} if kind.startswith("bash_"):
            return _function(name, "Run a command in a bash shell, which keeps its state.", _BASH)
        case {"type": str(kind), "name": str(name)} if kind.startswith("memory_"):
            said = "Files below /memories, which are kept between conversations. View them first."
            return _function(name, said, _MEMORY)
        case {"type": str(kind)} if kind != "custom":
            raise misfit(
                f"tools.{at}.type",
                f"{kind!r} is a tool of Anthropic and not supported here: describe one of your own by name "
                "and input_schema",
            )
        case _:
            raise misfit(f"tools.{at}", "must have a name and an input_schema")


def _function(name: str, description: object, schema: Object) -> Object:
    told = {"description": description} if isinstance(description, str) else {}
    return {"type": "function", "function": {"name": name, "parameters": schema, **told}}


def _text(description: str) -> Object:
    return {"type": "string", "description": description}


_BASH: Object = {
    "type": "object",
    "properties": {
        "command": _text("The command."),
        "restart": {"type": "boolean", "description": "True starts the shell anew, without a command."},
    },
}
_MEMORY: Object = {
    "type": "object",
    "properties": {
        "command": {
            "type": "string",
            "enum": ["view", "create", "str_replace", "insert", "delete", "rename"],
        },
        "path": _text("All but rename: path of the file or folder."),
        "view_range": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "view: first and last line, counted from 1. Optional.",
        },
        "file_text": _text("create: the content."),
        "old_str": _text("str_replace: the text to replace, which occurs exactly once."),
        "new_str": _text("str_replace: the text in its place."),
        "insert_line": {"type": "integer", "description": "insert: the line to insert after; 0: at the top."},
        "insert_text": _text("insert: the text."),
        "old_path": _text("rename: the path."),
        "new_path": _text("rename: the new path."),
    },
    "required": ["command"],
}
