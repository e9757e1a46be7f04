"""Parses the body of Anthropic's `POST /v1/messages` into a question with its whole history."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.contract.branches import Branch
from gateway.contract.content import Content
from gateway.contract.content_parser import read_content
from gateway.contract.misfits import misfit
from gateway.contract.model_limits import check_sampling
from gateway.contract.requests import Sampling, Turn
from gateway.contract.store import StoredMessage
from gateway.core.question import Question
from gateway.dialects.anthropic import Anthropic, message_json
from gateway.web.chat.agent_sessions import agent_session
from gateway.web.chat.anthropic_threads import thread_of
from gateway.web.chat.branches import branch_without_ids
from gateway.web.chat.forms import Asked, Post
from gateway.web.chat.whole_conversations import answering_model, latest_question
from gateway.web.http.bodies import AtMost512, AtMost2048, Stop, TokenCount, parse
from gateway.web.http.content_field import check_chars
from gateway.web.services import Services

Blocks = AtMost512[dict[str, Any]]
_TOOL_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


class AnthropicMessage(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    role: Literal["user", "assistant", "system"]
    content: str | Blocks


class MessagesBody(BaseModel):
    """A request of Anthropic's API. Fields that are not listed are ignored.

    thread: `{"type": "create"}` stores the request; `{"type": "continue", "previous_message_id"}` goes on
    after a message of such a request, with its settings.
    """

    model_config = ConfigDict(extra="ignore", strict=True)

    model: Annotated[str | None, Field(max_length=256)] = None
    messages: Annotated[AtMost2048[AnthropicMessage], Field(min_length=1)]
    system: str | Blocks | None = None
    max_tokens: TokenCount | None = None
    stream: bool | None = None
    stop_sequences: Stop = None
    temperature: Annotated[float | None, Field(ge=0, le=100, allow_inf_nan=False)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False)] = None
    top_k: Annotated[int | None, Field(ge=0, le=2**31 - 1)] = None
    tools: Blocks | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    thread: dict[str, Any] | None = None

    def sampling(self) -> Sampling:
        """Return the settings. Raises Unprocessable if one is outside of the limits of check_sampling."""
        options: dict[str, Any] = {}
        if self.top_k is not None:
            options["top_k"] = self.top_k
        if self.thinking is not None:
            thinks = self.thinking.get("type") != "disabled"
            options["chat_template_kwargs"] = {"enable_thinking": thinks}
        one_call = (self.tool_choice or {}).get("disable_parallel_tool_use")
        if self.tools and isinstance(one_call, bool):
            options["parallel_tool_calls"] = not one_call
        sampling = Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            stop=self.stop_sequences,
            tools=[_tool(at, tool) for at, tool in enumerate(self.tools)] if self.tools else None,
            tool_choice=_tool_choice(self.tool_choice),
            options=options,
        )
        check_sampling(sampling, options="")
        return sampling


class MessagesForm:
    """Form of one request. streams: True if the request asks for a stream; valid after `read`."""

    def __init__(self) -> None:
        self.streams = False

    async def read(self, gateway: Services, post: Post) -> Asked:
        """Parse the body. Raises Unprocessable, naming the field, if it is invalid or not supported."""
        body = parse(post.body, MessagesBody)
        self.streams = bool(body.stream)
        asked = await asked_messages(gateway, post.user_id, body)
        _, said = latest_question(asked.turns)
        check_chars(said, gateway.max_content_chars, "messages")
        session_id, thread = asked.session_id, None
        if session_id is None:
            session_id, thread = await agent_session(gateway, post, "anthropic")
        question = Question(
            user_id=post.user_id,
            content=said,
            turns=asked.turns,
            session_id=session_id,
            thread=thread,
            branch=asked.branch,
            model=asked.model,
            sampling=asked.sampling,
            request=asked.request,
        )
        return Asked(question, Anthropic(answering_model(gateway, asked.model)))

    def whole(self, reply: StoredMessage, stream_id: str) -> dict[str, Any]:
        return message_json(reply, stream_id)


@dataclass(frozen=True, slots=True)
class AskedMessages:
    """A request with the conversation of its thread.

    Attributes:
        turns: the whole conversation.
        branch: the place of its question in the session.
        session_id: of the thread; None for a new one.
        request: stored with the reply, so that the thread can go on after it; None without a thread.
    """

    turns: Sequence[Turn]
    branch: Branch
    sampling: Sampling
    model: str | None
    session_id: int | None = None
    request: bytes | None = None


async def asked_messages(gateway: Services, user_id: str, body: MessagesBody) -> AskedMessages:
    """Raises Unprocessable, naming the field, and ThreadNotFound."""
    thread = await thread_of(gateway, user_id, body.thread)
    max_bytes = gateway.max_attachment_bytes
    new = list(turns_of(body, max_bytes))
    if thread is None:
        return AskedMessages(new, branch_without_ids(new), body.sampling(), body.model)
    given = body.model_dump(exclude_none=True)
    try:
        whole = MessagesBody.model_validate(thread.whole(given))
    except ValidationError as error:
        raise misfit("thread", "has too many messages together with these") from error
    turns = list(turns_of(whole, max_bytes)) if thread.messages else new
    branch = branch_without_ids(new)
    if thread.previous is not None:
        branch = replace(branch, after=thread.previous)
    kept = thread.kept(given)
    return AskedMessages(turns, branch, whole.sampling(), whole.model, thread.session_id, kept)


def turns_of(body: MessagesBody, max_attachment_bytes: int) -> Iterator[Turn]:
    """Return the conversation as turns. Raises Unprocessable for blocks that are not supported."""
    if body.system:
        yield Turn("system", _joined("system", body.system))
    for at, message in enumerate(body.messages):
        field = f"messages.{at}.content"
        if message.role == "system":
            yield Turn("system", _joined(field, message.content))
        elif isinstance(message.content, str):
            yield Turn(message.role, message.content)
        elif message.role == "user":
            yield from _user_turns(field, message.content, max_attachment_bytes)
        else:
            yield _assistant_turn(field, message.content)


def _user_turns(field: str, blocks: Sequence[Mapping[str, Any]], max_bytes: int) -> Iterator[Turn]:
    """Return one turn for each tool result, then one for the rest of the message."""
    if not blocks:
        raise misfit(field, "must not be empty")
    parts = []
    for number, block in enumerate(blocks):
        place = f"{field}.{number}"
        if block.get("type") != "tool_result":
            parts.append(_part(place, block))
            continue
        call_id = block.get("tool_use_id")
        if not isinstance(call_id, str):
            raise misfit(f"{place}.tool_use_id", "is required")
        yield Turn("tool", _result(place, block.get("content"), max_bytes), tool_call_id=call_id)
    if parts:
        yield Turn("user", read_content(parts, field, max_bytes))


def _result(place: str, content: object, max_bytes: int) -> Content:
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        raise misfit(f"{place}.content", "must be a string or a list of blocks")
    parts = [_part(f"{place}.content.{number}", block) for number, block in enumerate(content)]
    return read_content(parts, f"{place}.content", max_bytes) if parts else ""


def _part(place: str, block: Any) -> dict[str, Any]:
    """Return a block as a content part in OpenAI's form."""
    match block:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "text": text}
        case {"type": "image" | "document", "source": {"type": "url"}}:
            raise misfit(f"{place}.source", "must contain the data: no address is fetched here")
        case {"type": "image", "source": {"type": "base64", "media_type": str(kind), "data": str(data)}}:
            return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
        case {"type": "document", "source": {"type": "text", "data": str(text)}}:
            return {"type": "text", "text": text}
        case {"type": "document", "source": {"type": "base64", "media_type": str(kind), "data": str(data)}}:
            name = block.get("title")
            file = {"file_data": f"data:{kind};base64,{data}"}
            if isinstance(name, str):
                file["filename"] = name
            return {"type": "file", "file": file}
        case {"type": str(kind)}:
            raise misfit(f"{place}.type", f"{kind!r} is not supported here, or lacks a field")
        case _:
            raise misfit(place, "must be a content block with a type")


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
    texts = [block.get("text") for block in content]
    if not all(isinstance(text, str) for text in texts):
        raise misfit(field, "must be a string or a list of text blocks")
    return "\n\n".join(str(text) for text in texts)


def _tool(at: int, tool: Mapping[str, Any]) -> dict[str, Any]:
    match tool:
        case {"name": str(name), "input_schema": dict(schema)}:
            function: dict[str, Any] = {"name": name, "parameters": schema}
            if isinstance(tool.get("description"), str):
                function["description"] = tool["description"]
            return {"type": "function", "function": function}
        case {"type": str(kind)} if kind != "custom":
            raise misfit(f"tools.{at}.type", f"{kind!r} is a tool of Anthropic and not supported here")
        case _:
            raise misfit(f"tools.{at}", "must have a name and an input_schema")


def _tool_choice(choice: Mapping[str, Any] | None) -> str | dict[str, Any] | None:
    match choice:
        case None:
            return None
        case {"type": "tool", "name": str(name)}:
            return {"type": "function", "function": {"name": name}}
        case {"type": "auto" | "any" | "none" as kind}:
            return _TOOL_CHOICES[kind]
        case _:
            raise misfit("tool_choice", "must be of type auto, any, none, or tool with a name")
