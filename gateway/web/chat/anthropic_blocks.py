"""The messages of Anthropic's API as turns. Source: Anthropic's API reference, "Create a Message"."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from gateway.contract.content import Content, Part, Text
from gateway.contract.content_parser import MAX_NAME_CHARS, NO_DATA, ConvertedPart, read_converted
from gateway.contract.misfits import misfit
from gateway.contract.requests import Turn
from gateway.web.http.bodies import AtMost512

Object = dict[str, Any]
Blocks = AtMost512[Object]


class AnthropicMessage(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    role: Literal["user", "assistant", "system"]
    content: str | Blocks


def turns_of(
    system: str | Blocks | None, messages: Sequence[AnthropicMessage], max_attachment_bytes: int
) -> Iterator[Turn]:
    """Return the conversation as turns. Raises Unprocessable for blocks that are not supported."""
    if system:
        yield Turn("system", _joined("system", system))
    for at, message in enumerate(messages):
        field = f"messages.{at}.content"
        if message.role == "system":
            yield Turn("system", _joined(field, message.content))
        elif isinstance(message.content, str):
            yield Turn(message.role, message.content)
        elif message.role == "user":
            yield from _user_turns(field, message.content, max_attachment_bytes)
        else:
            yield _assistant_turn(field, message.content)


def with_reminders(turns: Iterable[Turn]) -> list[Turn]:
    """Return the turns with later system turns as texts of the user, marked as Claude Code does it.

    Templates of many models refuse system turns behind the beginning, and two turns of the user in a row.
    """
    told: list[Turn] = []
    has_begun = was_reminder = False
    for turn in turns:
        is_reminder = has_begun and turn.role == "system"
        has_begun = has_begun or turn.role != "system"
        if is_reminder:
            turn = Turn("user", f"<system-reminder>\n{turn.content}\n</system-reminder>")
        if (is_reminder or was_reminder) and turn.role == told[-1].role == "user":
            told[-1] = Turn("user", _together(told[-1].content, turn.content))
        else:
            told.append(turn)
        was_reminder = is_reminder
    return told


def _together(first: Content, second: Content) -> Content:
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return (*_all_parts(first), *_all_parts(second))


def _all_parts(content: Content) -> tuple[Part, ...]:
    return (Text(content),) if isinstance(content, str) else content


def _user_turns(field: str, blocks: Sequence[Mapping[str, Any]], max_bytes: int) -> Iterator[Turn]:
    """Return one turn for each tool result, then one for the rest of the message."""
    if not blocks:
        raise misfit(field, "must not be empty")
    parts: list[ConvertedPart] = []
    for number, block in enumerate(blocks):
        place = f"{field}.{number}"
        if block.get("type") != "tool_result":
            parts += _parts(place, block)
            continue
        call_id = block.get("tool_use_id")
        if not isinstance(call_id, str):
            raise misfit(f"{place}.tool_use_id", "is required")
        yield Turn("tool", _result(place, block.get("content"), max_bytes), tool_call_id=call_id)
    if parts:
        yield Turn("user", read_converted(parts, field, max_bytes))


def _result(place: str, content: object, max_bytes: int) -> Content:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise misfit(f"{place}.content", "must be a string or a list of blocks")
    parts = [
        part for number, block in enumerate(content) for part in _parts(f"{place}.content.{number}", block)
    ]
    return read_converted(parts, f"{place}.content", max_bytes)


def _parts(place: str, block: Any) -> Iterator[ConvertedPart]:
    """Return a block as content parts in OpenAI's form: documents and search results as text files."""
    match block:
        case {"type": "document", "context": str(context), **rest} if context:
            yield {"type": "text", "text": context}, place
            yield from _parts(place, rest | {"type": "document"})
        case {"type": "text", "text": str(text)}:
            yield {"type": "text", "text": text}, place
        case {"type": "image" | "document", "source": {"type": "url"}}:
            raise misfit(f"{place}.source", NO_DATA)
        case {"type": "image", "source": {"type": "base64", "media_type": str(kind), "data": str(data)}}:
            yield {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}, f"{place}.source"
        case {"type": "document", "source": {"type": "text", "data": str(text)}}:
            yield _file(block, text), f"{place}.source"
        case {"type": "document", "source": {"type": "base64", "media_type": str(kind), "data": str(data)}}:
            yield _named(block, f"data:{kind};base64,{data}"), f"{place}.source"
        case {"type": "document", "source": {"type": "content", "content": str(text)}}:
            yield _file(block, text), f"{place}.source"
        case {"type": "document", "source": {"type": "content", "content": list(inner)}}:
            yield from _inner(block, f"{place}.source.content", inner)
        case {"type": "search_result", "source": str(source), "content": list(inner)}:
            yield _file(block, f"{source}\n{_joined(f'{place}.content', inner)}"), f"{place}.content"
        case {"type": str(kind)}:
            raise misfit(f"{place}.type", f"{kind!r} is not supported here, or lacks a field")
        case _:
            raise misfit(place, "must be a content block with a type")


def _inner(block: Mapping[str, Any], place: str, inner: Sequence[Any]) -> Iterator[ConvertedPart]:
    """Return the blocks of a document: texts as one file, images by themselves."""
    texts = [one for one in inner if isinstance(one, dict) and one.get("type") == "text"]
    if texts or not inner:
        yield _file(block, _joined(place, texts)), place
    for number, one in enumerate(inner):
        if not isinstance(one, dict) or one.get("type") != "text":
            yield from _parts(f"{place}.{number}", one)


def _file(block: Mapping[str, Any], text: str) -> Object:
    if not text:
        return {"type": "text", "text": ""}
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode()
    return _named(block, f"data:text/plain;base64,{encoded}")


def _named(block: Mapping[str, Any], data_url: str) -> Object:
    title = block.get("title")
    name = {"filename": title[:MAX_NAME_CHARS]} if isinstance(title, str) else {}
    return {"type": "file", "file": {"file_data": data_url} | name}


def _assistant_turn(field: str, blocks: Sequence[Mapping[str, Any]]) -> Turn:
    texts, thoughts, calls = [], [], []
    for number, block in enumerate(blocks):
        match block:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": "thinking", "thinking": str(text)}:
                thoughts.append(text)
            case {"type": "redacted_thinking"}:
                pass
            case {"type": "tool_use", "id": str(id), "name": str(name)}:
                arguments = json.dumps(block.get("input") or {}, ensure_ascii=False)
                calls.append(
                    {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
                )
            case _:
                kind = block.get("type")
                raise misfit(f"{field}.{number}.type", f"{kind!r} is not supported here, or lacks a field")
    thought = "".join(thoughts) or None
    return Turn("assistant", "".join(texts), tool_calls=calls, reasoning_content=thought)


def _joined(field: str, content: str | Sequence[Mapping[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    texts = [block.get("text") if isinstance(block, Mapping) else None for block in content]
    if not all(isinstance(text, str) for text in texts):
        raise misfit(field, "must be a string or a list of text blocks")
    return "\n\n".join(str(text) for text in texts)
