"""Objects of OpenAI's Responses API: response, output items, usage.

They have all keys that the clients' models require. Sources: OpenAI API reference, "The response object";
Open Responses, "ResponseResource".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.contract.events import Usage
from gateway.dialects.response_tool_names import ToolName

Item = dict[str, Any]

DEFAULTS: Mapping[str, Any] = {
    "background": False,
    "completed_at": None,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Settings of a response if its request is unknown."""


def response_json(
    head: Mapping[str, Any],
    status: str,
    output: Sequence[Item] = (),
    *,
    usage: Usage | None = None,
    error: str | None = None,
    incomplete: str | None = None,
) -> dict[str, Any]:
    """Return a response object.

    Args:
        head: `id`, `created_at`, `model` and settings of the request; the others are DEFAULTS.
        status: `in_progress`, `completed`, `incomplete`, `failed` or `cancelled`.
        output: finished items.
        usage: None if unknown.
        error: the message of a failed response.
        incomplete: `max_output_tokens` or `content_filter`.
    """
    return {
        "object": "response",
        **DEFAULTS,
        **head,
        "status": status,
        "error": None if error is None else {"code": "server_error", "message": error},
        "incomplete_details": None if incomplete is None else {"reason": incomplete},
        "output": list(output),
        "usage": None if usage is None else usage_json(usage),
    }


def usage_json(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.total_tokens,
    }


def text_part(text: str | msgspec.Raw) -> dict[str, Any]:
    """text: msgspec.Raw if it is JSON already."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def message_item(item_id: str, status: str, content: Sequence[Mapping[str, Any]]) -> Item:
    return {
        "type": "message",
        "id": item_id,
        "status": status,
        "role": "assistant",
        "content": list(content),
    }


def reasoning_item(item_id: str, status: str, text: str | None) -> Item:
    """Return a reasoning item. text: None while incomplete. Clients show it as summary or content."""
    item: Item = {"type": "reasoning", "id": item_id, "summary": []}
    if text is not None:
        item["summary"] = [{"type": "summary_text", "text": text}]
        item["content"] = [{"type": "reasoning_text", "text": text}]
    return {**item, "encrypted_content": None, "status": status}


def call_item(item_id: str, status: str, call_id: str, tool: ToolName, given: str) -> Item:
    """given: the arguments, or the input of a custom tool."""
    kind, field = ("custom_tool_call", "input") if tool.custom else ("function_call", "arguments")
    item = {
        "type": kind,
        "id": item_id,
        "call_id": call_id,
        "name": tool.name,
        field: given,
        "status": status,
    }
    return item if tool.namespace is None else {**item, "namespace": tool.namespace}
