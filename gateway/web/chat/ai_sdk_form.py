"""The AI SDK's chat request, read into a question with its whole history."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.contract.branches import Branch
from gateway.contract.content_parser import NO_DATA_URL, ConvertedPart, read_converted
from gateway.contract.misfits import misfit
from gateway.contract.requests import Turn
from gateway.contract.store import StoredMessage
from gateway.contract.tool_calls import arguments_of
from gateway.core.question import Question
from gateway.dialects.ai_sdk import AiSdk
from gateway.web.chat.agent_sessions import named_thread
from gateway.web.chat.ai_sdk_tools import DENIED, functions_of, packed_results
from gateway.web.chat.branches import branch_of
from gateway.web.chat.forms import Asked, Post
from gateway.web.chat.whole_conversations import latest_question, with_one_beginning
from gateway.web.http.bodies import AtMost512, AtMost2048, SamplingBody, Tools, parse
from gateway.web.http.content_field import check_chars
from gateway.web.http.large_bodies import unhurried
from gateway.web.services import Services

API = "ai-sdk"
HISTORY_MESSAGES = 200

Object = dict[str, Any]


_SentTools = AtMost512[Object] | Annotated[dict[str, Object], Field(max_length=512)] | None


class UiMessage(BaseModel):
    """One message of a page. Parts of other types are shown by the page only and ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)

    id: Annotated[str | None, Field(max_length=256)] = None
    role: Literal["system", "user", "assistant"]
    parts: AtMost2048[Object]


class UiChatBody(SamplingBody):
    """A page's request. Fields that are not listed are ignored.

    Attributes:
        id: names the conversation, among the caller's own.
        messages: all of it.
        message: only the new one, in place of `messages`.
        messageId: of the message that was edited or is answered again.
        system: instructions before the conversation; assistant-ui sends them.
        tools: a list in OpenAI's form, or assistant-ui's object of tools by their names.
    """

    id: Annotated[str, Field(min_length=1, max_length=256)]
    system: str | None = None
    tools: Annotated[Tools | None, BeforeValidator(functions_of, json_schema_input_type=_SentTools)] = None
    messages: AtMost2048[UiMessage] | None = None
    message: UiMessage | None = None
    resumable: bool | None = None
    trigger: Annotated[str | None, Field(max_length=64)] = None
    messageId: Annotated[str | None, Field(max_length=256)] = None  # noqa: N815 - the AI SDK's name

    @property
    def asks_again(self) -> bool:
        """True if the question was asked before. `messageId` is also sent when a tool's result follows."""
        return self.trigger == "regenerate-message" or self.messageId is not None


class UiChatForm:
    """Form of one request."""

    async def read(self, gateway: Services, post: Post) -> Asked:
        """Unprocessable, with the field, for what does not fit or is not supported."""
        size = len(post.body)
        body = await unhurried(size, partial(parse, post.body, UiChatBody))
        thread = named_thread(API, body.id)
        if body.messages:
            messages, turns = body.messages, list[Turn]()
        elif body.message is not None:
            messages, turns = [body.message], await _history(gateway, post.user_id, thread, body)
        else:
            raise misfit("messages", "must not be empty")
        turns += await unhurried(size, partial(_all_turns, messages, gateway.max_attachment_bytes))
        if not turns:
            raise misfit("messages", "must hold text, files or tool calls")
        if body.system:
            turns.insert(0, Turn("system", body.system))
        turns = with_one_beginning(turns)
        _, said = latest_question(turns)
        check_chars(said, gateway.max_content_chars, "messages")
        question = Question(
            user_id=post.user_id,
            content=said,
            turns=turns,
            thread=thread,
            model=body.model,
            sampling=body.sampling(),
            resumable=bool(body.resumable),
            branch=_branch(body),
            request=next(
                (packed_results(said.parts) for said in reversed(messages) if said.role == "assistant"), None
            ),
        )
        last = messages[-1]
        return Asked(question, AiSdk(last.id if last.role == "assistant" else None))


_ABSENT = msgspec.Raw(b"null")


class _Sniffed(msgspec.Struct):
    id: msgspec.Raw = _ABSENT
    message: msgspec.Raw = _ABSENT
    messages: msgspec.Raw = _ABSENT
    model: msgspec.Raw = _ABSENT
    trigger: msgspec.Raw = _ABSENT


def is_ui_chat(body: bytes) -> bool:
    """True for a body of the AI SDK, False for one of Ollama's.

    Ollama has no `message`, `trigger` and `parts`. An `id` without `model` is the AI SDK's too: Ollama's
    clients always name the model.
    """
    try:
        sniffed = msgspec.json.decode(body, type=_Sniffed)
        if any(bytes(field) != b"null" for field in (sniffed.message, sniffed.trigger)):
            return True
        if bytes(sniffed.id) != b"null" and bytes(sniffed.model) == b"null":
            return True
        messages = msgspec.json.decode(sniffed.messages, type=list[dict[str, msgspec.Raw]] | None)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return any("parts" in message for message in messages or ())


def _branch(body: UiChatBody) -> Branch | None:
    if body.messages:
        return branch_of([(message.role, message.id) for message in body.messages], again=body.asks_again)
    if body.message is not None and body.message.role == "assistant":
        return Branch(body.message.id, "answered")
    return Branch(None, "again") if body.asks_again else None


async def _history(gateway: Services, user_id: str, thread: str, body: UiChatBody) -> list[Turn]:
    """Return the stored turns of this conversation, up to the message that is answered again or continued."""
    session = await gateway.store.latest_session(user_id, thread)
    if session is None:
        return []
    return await gateway.conversations.history.earlier(user_id, session.id, partial(_up_to, body))


def _up_to(body: UiChatBody, messages: Sequence[StoredMessage]) -> Sequence[StoredMessage]:
    message = body.message
    if message is None or not (body.asks_again or message.role == "assistant"):
        return messages
    said = "".join(
        str(part["text"]) for part in message.parts if part.get("type") == "text" and "text" in part
    )
    for at in reversed(range(len(messages))):
        stored = messages[at]
        if stored.uuid == message.id or (stored.role == message.role == "user" and stored.content == said):
            return messages[:at]
    return messages


def _all_turns(messages: Sequence[UiMessage], max_bytes: int) -> list[Turn]:
    return [
        turn for at, message in enumerate(messages) for turn in _turns(f"messages.{at}", message, max_bytes)
    ]


def _turns(place: str, message: UiMessage, max_bytes: int) -> Iterator[Turn]:
    if message.role == "assistant":
        yield from _assistant_turns(message.parts)
        return
    parts = [
        read
        for at, part in enumerate(message.parts)
        if (read := _part(f"{place}.parts.{at}", part)) is not None
    ]
    content = read_converted(parts, f"{place}.parts", max_bytes)
    if content:
        yield Turn(message.role, content)


def _part(place: str, part: Mapping[str, Any]) -> ConvertedPart | None:
    match part:
        case {"type": "text", "text": str(text)}:
            return {"type": "text", "text": text}, place
        case {"type": "file", "url": str(url), "mediaType": str(kind)}:
            if not url.startswith("data:"):
                raise misfit(f"{place}.url", NO_DATA_URL)
            return _file(url, kind, part.get("filename")), f"{place}.url"
        case {"type": "file" | "text" as kind}:
            raise misfit(place, f"a {kind} part lacks a field")
        case _:
            return None


def _file(url: str, kind: str, name: object) -> Object:
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    if kind.startswith("audio/"):
        format = "mp3" if kind in ("audio/mpeg", "audio/mp3") else "wav"
        return {"type": "input_audio", "input_audio": {"data": url.partition(",")[2], "format": format}}
    return {
        "type": "file",
        "file": {"file_data": url} | ({"filename": name} if isinstance(name, str) else {}),
    }


def _assistant_turns(parts: Sequence[Mapping[str, Any]]) -> Iterator[Turn]:
    """A turn for each step, and behind it the results of its tools."""
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[Object] = []
    results: list[Turn] = []

    def step() -> Iterator[Turn]:
        if texts or calls:
            thought = "".join(thoughts) or None
            yield Turn("assistant", "".join(texts), tool_calls=list(calls), reasoning_content=thought)
            yield from results
        for gathered in (texts, thoughts, calls, results):
            gathered.clear()

    for part in parts:
        match part:
            case {"type": "step-start"}:
                yield from step()
            case {"type": "text", "text": str(text)}:
                if calls:
                    yield from step()
                texts.append(text)
            case {"type": "reasoning", "text": str(text)}:
                thoughts.append(text)
            case {"type": str(kind), "toolCallId": str(id)}:
                name = str(part.get("toolName") or kind.removeprefix("tool-"))
                calls.append(_call(id, name, part.get("input")))
                results += _result(id, part)
    yield from step()


def _call(id: str, name: str, input: object) -> Object:
    arguments = arguments_of(input or None)
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _result(id: str, part: Mapping[str, Any]) -> Iterator[Turn]:
    """A tool that has no result yet gives none: the model server says so, if it minds."""
    match part:
        case {"output": str(text)} | {"errorText": str(text)}:
            yield Turn("tool", text, tool_call_id=id)
        case {"output": output}:
            yield Turn("tool", msgspec.json.encode(output).decode(), tool_call_id=id)
        case {"approval": {"approved": False} as denial}:
            reason = denial.get("reason")
            yield Turn("tool", reason if isinstance(reason, str) and reason else DENIED, tool_call_id=id)
