"""Parses AG-UI's `RunAgentInput` into a question with its whole history."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from gateway.contract.content import Content
from gateway.contract.content_parser import NO_DATA, ConvertedPart, read_converted
from gateway.contract.misfits import misfit
from gateway.contract.model_limits import check_sampling
from gateway.contract.requests import Role, Sampling, Turn
from gateway.contract.tool_calls import arguments_of
from gateway.core.question import Question
from gateway.dialects.ag_ui import AgUi
from gateway.web.chat.agent_sessions import named_thread
from gateway.web.chat.branches import branch_of
from gateway.web.chat.forms import Asked, Post
from gateway.web.chat.whole_conversations import latest_question, with_one_beginning
from gateway.web.http.bodies import AtMost512, AtMost2048, parse
from gateway.web.http.content_field import check_chars
from gateway.web.http.large_bodies import unhurried
from gateway.web.services import Services

Object = dict[str, Any]
_ROLES: Mapping[str, Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
}


class _AgUiModel(BaseModel):
    """Fields have AG-UI's names, such as `threadId`, or those of its Python SDK, such as `thread_id`."""

    model_config = ConfigDict(extra="ignore", strict=True, alias_generator=to_camel, populate_by_name=True)


class AgUiMessage(_AgUiModel):
    """Messages of other roles (`activity`, `reasoning`) are for people and not sent to the model."""

    id: Annotated[str | None, Field(max_length=256)] = None
    role: str
    content: str | AtMost512[Object] | Object | None = None
    tool_calls: AtMost512[Object] | None = None
    tool_call_id: str | None = None


class RunBody(_AgUiModel):
    """threadId: names a conversation of the caller. Fields that are not listed are ignored."""

    thread_id: Annotated[str, Field(min_length=1, max_length=256)]
    run_id: Annotated[str, Field(min_length=1, max_length=256)]
    messages: Annotated[AtMost2048[AgUiMessage], Field(min_length=1)]
    tools: AtMost512[Object] | None = None
    context: AtMost512[Object] | None = None
    forwarded_props: Any = None
    protocol_version: str | None = None

    def sampling(self) -> Sampling:
        """Return the tools as settings. Raises Unprocessable if a tool is invalid."""
        tools = [_tool(at, tool) for at, tool in enumerate(self.tools or ())]
        sampling = Sampling(tools=tools or None)
        check_sampling(sampling)
        return sampling

    def model(self) -> str | None:
        """Name of the model in `forwardedProps.model`."""
        match self.forwarded_props:
            case {"model": str(name)} if 0 < len(name) <= 256:
                return name
            case _:
                return None


class RunForm:
    """Form of one request."""

    async def read(self, gateway: Services, post: Post) -> Asked:
        """Parse the body. Raises Unprocessable, naming the field, if it is invalid or not supported."""
        body, turns = await unhurried(len(post.body), partial(_read, post.body, gateway.max_attachment_bytes))
        if not any(turn.role != "system" for turn in turns):
            raise misfit("messages", "must contain a message of a user, an assistant or a tool")
        _, said = latest_question(turns)
        check_chars(said, gateway.max_content_chars, "messages")
        question = Question(
            user_id=post.user_id,
            content=said,
            turns=turns,
            thread=named_thread("ag-ui", body.thread_id),
            model=body.model(),
            sampling=body.sampling(),
            branch=branch_of(
                [
                    (_ROLES[message.role], _stream_id(message))
                    for message in body.messages
                    if message.role in _ROLES
                ]
            ),
        )
        dialect = AgUi(body.thread_id, body.run_id, reasoning=body.protocol_version is not None)
        return Asked(question, dialect)


def _read(raw: bytes, max_bytes: int) -> tuple[RunBody, list[Turn]]:
    body = parse(raw, RunBody)
    return body, with_one_beginning([*_context(body.context), *_turns(body.messages, max_bytes)])


def _stream_id(message: AgUiMessage) -> str | None:
    """Return the stream id in the id of a message that this gateway has sent."""
    return None if message.id is None else message.id.rpartition("-")[2]


def _context(context: Sequence[Mapping[str, Any]] | None) -> Iterator[Turn]:
    """Return the page's context as one system message."""
    told = []
    for at, item in enumerate(context or ()):
        match item:
            case {"value": str(value)}:
                told.append(f"{item.get('description', '')}: {value}")
            case _:
                raise misfit(f"context.{at}.value", "must be a string")
    if told:
        yield Turn("system", "\n".join(told))


def _turns(messages: Sequence[AgUiMessage], max_bytes: int) -> Iterator[Turn]:
    for at, message in enumerate(messages):
        role = _ROLES.get(message.role)
        if role is None:
            continue
        place = f"messages.{at}"
        if role == "tool" and message.tool_call_id is None:
            raise misfit(f"{place}.toolCallId", "is required")
        calls = [
            _call(f"{place}.toolCalls.{number}", call) for number, call in enumerate(message.tool_calls or ())
        ]
        content = _content(f"{place}.content", message.content, max_bytes)
        yield Turn(role, content, tool_calls=calls, tool_call_id=message.tool_call_id)


def _content(place: str, said: object, max_bytes: int) -> Content:
    if said is None or isinstance(said, str):
        return said or ""
    if not isinstance(said, list):
        raise misfit(place, "must be a string or a list of parts")
    parts = [_part(f"{place}.{number}", part) for number, part in enumerate(said)]
    return read_converted(parts, place, max_bytes)


def _part(place: str, part: Mapping[str, Any]) -> ConvertedPart:
    match part:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "text": text}, place
        case {"type": "binary", "mimeType": str(kind), "data": str(data)}:
            return _data_part(kind, data, part.get("filename")), f"{place}.data"
        case {"source": {"type": "data", "value": str(data), "mimeType": str(kind)}}:
            return _data_part(kind, data, None), f"{place}.source.value"
        case {"type": "binary"} | {"source": {"type": "url"}}:
            raise misfit(place, NO_DATA)
        case {"type": str(kind)}:
            raise misfit(f"{place}.type", f"{kind[:50]!r} is not supported here, or lacks a field")
        case _:
            raise misfit(place, "must have a type")


def _data_part(kind: str, data: str, name: object) -> Object:
    url = f"data:{kind};base64,{data}"
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    if kind.startswith("audio/"):
        format = {"audio/mpeg": "mp3", "audio/mp3": "mp3"}.get(kind, "wav")
        return {"type": "input_audio", "input_audio": {"data": data, "format": format}}
    file = {"file_data": url} | ({"filename": name} if isinstance(name, str) else {})
    return {"type": "file", "file": file}


def _call(place: str, call: Mapping[str, Any]) -> Object:
    match call:
        case {"id": str(id), "function": {"name": str(name), "arguments": str(arguments)}}:
            return {
                "id": id,
                "type": "function",
                "function": {"name": name, "arguments": arguments_of(arguments)},
            }
        case _:
            raise misfit(place, "must have an id and a function with a name and arguments")


def _tool(at: int, tool: Mapping[str, Any]) -> Object:
    match tool:
        case {"name": str(name)}:
            function: Object = {"name": name, "parameters": tool.get("parameters") or {"type": "object"}}
            if isinstance(tool.get("description"), str):
                function["description"] = tool["description"]
            return {"type": "function", "function": function}
        case _:
            raise misfit(f"tools.{at}.name", "is required")
