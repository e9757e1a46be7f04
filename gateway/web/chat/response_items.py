"""The items of a Responses conversation as turns. Source: OpenAI API reference, "Create a model response"."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.contract.content import Content
from gateway.contract.content_parser import NO_DATA, ConvertedPart, read_converted
from gateway.contract.misfits import misfit
from gateway.contract.requests import Role, Turn
from gateway.contract.tool_calls import arguments_of
from gateway.dialects.response_tool_names import ToolName, custom_arguments

Item = dict[str, Any]
_ROLES: Mapping[str, Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}


def turns_of(items: Sequence[Item], max_attachment_bytes: int) -> list[Turn]:
    """The conversation; Unprocessable for items that no model server takes."""
    turns: list[Turn] = []
    assistant = _Assistant()
    for at, item in enumerate(items):
        place = f"input.{at}"
        match item.get("type", "message"):
            case "message":
                role = _role(place, item.get("role"))
                content = _content(f"{place}.content", item.get("content"), max_attachment_bytes)
                if role == "assistant" and isinstance(content, str):
                    turns += assistant.said(content)
                    continue
                turns += assistant.taken()
                turns.append(Turn(role, content))
            case "additional_tools":
                pass  # usable_tools has them
            case "reasoning":
                turns += assistant.thought(_reasoning(place, item))
            case "function_call" | "custom_tool_call":
                assistant.calls.append(_call(place, item))
            case "function_call_output" | "custom_tool_call_output":
                turns += assistant.taken()
                turns.append(_call_output(place, item, max_attachment_bytes))
            case str(kind):
                raise misfit(f"{place}.type", f"{kind[:50]!r} is not supported here")
            case _:
                raise misfit(f"{place}.type", "must be a string")
    return [*turns, *assistant.taken()]


class _Assistant:
    """Gathers what one assistant turn thought, said and called."""

    def __init__(self) -> None:
        self.calls: list[Item] = []
        self._text = ""
        self._reasoning = ""

    def said(self, text: str) -> Iterator[Turn]:
        if self.calls or self._text:
            yield from self.taken()
        self._text = text

    def thought(self, text: str) -> Iterator[Turn]:
        if self.calls or self._text:
            yield from self.taken()
        self._reasoning += text

    def taken(self) -> Iterator[Turn]:
        if self.calls or self._text or self._reasoning:
            yield Turn(
                "assistant",
                self._text,
                tool_calls=self.calls,
                reasoning_content=self._reasoning or None,
            )
        self.calls, self._text, self._reasoning = [], "", ""


def _role(place: str, said: object) -> Role:
    role = _ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        raise misfit(f"{place}.role", f"must be one of {', '.join(_ROLES)}")
    return role


def _content(place: str, said: object, max_bytes: int) -> Content:
    if isinstance(said, str):
        return said
    if not isinstance(said, list):
        raise misfit(place, "must be a string or a list of parts")
    parts = [_part(f"{place}.{number}", part) for number, part in enumerate(said)]
    return read_converted(parts, place, max_bytes)


def _part(place: str, part: Any) -> ConvertedPart:
    """The part as OpenAI's chat API writes it."""
    match part:
        case {"type": "input_text" | "output_text" | "text" | "summary_text", "text": str(text)}:
            return {"type": "text", "text": text}, place
        case {"type": "refusal", "refusal": str(text)}:
            return {"type": "text", "text": text}, place
        case {"type": "input_image", "image_url": str(url)}:
            image = {"url": url}
            if isinstance(part.get("detail"), str):
                image["detail"] = part["detail"]
            return {"type": "image_url", "image_url": image}, f"{place}.image_url"
        case {"type": "input_file", "file_data": str(data)}:
            file = {"file_data": data}
            if isinstance(part.get("filename"), str):
                file["filename"] = part["filename"]
            return {"type": "file", "file": file}, f"{place}.file_data"
        case {"type": "input_audio", "input_audio": dict(audio)}:
            return {"type": "input_audio", "input_audio": audio}, f"{place}.input_audio.data"
        case {"type": "input_image" | "input_file"}:
            raise misfit(place, f"{NO_DATA}, and no file is kept")
        case {"type": str(kind)}:
            raise misfit(f"{place}.type", f"{kind[:50]!r} is not supported here, or lacks a field")
        case _:
            raise misfit(place, "must be an object with a type")


def _reasoning(place: str, item: Item) -> str:
    """The text of the content, else of the summary."""
    for name in ("content", "summary"):
        parts = item.get(name) or []
        if not isinstance(parts, list):
            raise misfit(f"{place}.{name}", "must be a list of parts")
        texts = [part.get("text") for part in parts if isinstance(part, dict)]
        if said := "".join(text for text in texts if isinstance(text, str)):
            return said
    return ""


def _call(place: str, item: Item) -> Item:
    match item:
        case {"type": "custom_tool_call", "call_id": str(id), "name": str(name), "input": str(input)}:
            arguments = custom_arguments(input)
        case {"type": "function_call", "call_id": str(id), "name": str(name), "arguments": str(said)}:
            arguments = arguments_of(said)
        case _:
            raise misfit(place, "must have a call_id, a name and arguments or an input, all strings")
    if isinstance(namespace := item.get("namespace"), str):
        name = ToolName(name, namespace).of_function
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _call_output(place: str, item: Item, max_bytes: int) -> Turn:
    call_id = item.get("call_id")
    if not isinstance(call_id, str):
        raise misfit(f"{place}.call_id", "must be a string")
    return Turn("tool", _content(f"{place}.output", item.get("output"), max_bytes), tool_call_id=call_id)
