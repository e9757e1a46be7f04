"""The body of `POST /v1/responses`, read into a question with its whole history."""

from collections.abc import Mapping, Sequence
from functools import partial
from time import time
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.contract.branches import Branch
from gateway.contract.misfits import misfit
from gateway.contract.model_limits import check_sampling
from gateway.contract.requests import Sampling, Turn
from gateway.contract.store import StoredMessage
from gateway.core.question import Question
from gateway.dialects.responses import Responses
from gateway.web.chat.agent_sessions import agent_session, named_thread
from gateway.web.chat.branches import branch_without_ids
from gateway.web.chat.forms import Asked, Post
from gateway.web.chat.kept_responses import (
    conversation_of,
    kept_response,
    latest_response,
    packed_request,
    resolved,
    stream_of_response,
)
from gateway.web.chat.response_items import Item, turns_of
from gateway.web.chat.response_tools import Placed, functions_of, usable_tools
from gateway.web.chat.whole_conversations import answering_model, latest_question, with_one_beginning
from gateway.web.http.bodies import AtMost512, AtMost2048, TokenCount, parse
from gateway.web.http.content_field import check_chars
from gateway.web.http.large_bodies import unhurried
from gateway.web.services import Services

_MAX_METADATA = 16


class ConversationName(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    id: Annotated[str, Field(min_length=1, max_length=256)]


class ReasoningSettings(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    effort: Annotated[str | None, Field(max_length=32)] = None
    summary: Annotated[str | None, Field(max_length=32)] = None


class TextSettings(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    format: dict[str, Any] | None = None
    verbosity: Annotated[str | None, Field(max_length=32)] = None


class ResponseBody(BaseModel):
    """Fields that are not listed are ignored.

    conversation: any name of the caller's; its responses go on from each other.
    """

    model_config = ConfigDict(extra="ignore", strict=True)

    input: str | Annotated[AtMost2048[dict[str, Any]], Field(min_length=1)]
    model: Annotated[str | None, Field(max_length=256)] = None
    instructions: str | None = None
    tools: AtMost512[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    text: TextSettings | None = None
    max_output_tokens: TokenCount | None = None
    temperature: Annotated[float | None, Field(ge=0, le=100, allow_inf_nan=False)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False)] = None
    top_logprobs: int | None = None
    parallel_tool_calls: bool | None = None
    metadata: Annotated[dict[str, str] | None, Field(max_length=_MAX_METADATA)] = None
    store: bool | None = None
    stream: bool | None = None
    background: bool | None = None
    previous_response_id: Annotated[str | None, Field(max_length=256)] = None
    conversation: Annotated[str, Field(min_length=1, max_length=256)] | ConversationName | None = None
    reasoning: ReasoningSettings | None = None
    truncation: Annotated[str | None, Field(max_length=32)] = None
    prompt: Any = None
    user: Annotated[str | None, Field(max_length=512)] = None

    @model_validator(mode="after")
    def _is_supported(self) -> "ResponseBody":
        if self.prompt is not None:
            raise misfit("prompt", "is not supported here")
        if self.top_logprobs:
            raise misfit("top_logprobs", "is not supported here")
        if self.background and self.store is False:
            raise misfit("background", "needs store: a response that is not kept cannot be fetched later")
        if self.previous_response_id is not None and self.conversation is not None:
            raise misfit("conversation", "must not be sent together with previous_response_id")
        return self

    @property
    def items(self) -> list[Item]:
        if not isinstance(self.input, str):
            return self.input
        content = [{"type": "input_text", "text": self.input}]
        return [{"type": "message", "role": "user", "content": content}]

    @property
    def conversation_name(self) -> str | None:
        return self.conversation.id if isinstance(self.conversation, ConversationName) else self.conversation

    def sampling(self, tools: Sequence[Placed]) -> Sampling:
        """Unprocessable for settings that no model server should get."""
        options: dict[str, Any] = {}
        if self.parallel_tool_calls is not None and tools:
            options["parallel_tool_calls"] = self.parallel_tool_calls
        if self.reasoning is not None and self.reasoning.effort is not None:
            effort = self.reasoning.effort
            options["chat_template_kwargs"] = (
                {"enable_thinking": False} if effort == "none" else {"reasoning_effort": effort}
            )
        sampling = Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_output_tokens,
            tools=functions_of(tools) or None,
            tool_choice=_tool_choice(self.tool_choice),
            response_format=_response_format(None if self.text is None else self.text.format),
            options=options,
        )
        check_sampling(sampling, options="")
        return sampling

    def settings(self, model: str, tools: Sequence[Placed]) -> dict[str, Any]:
        """The parts of the request that the response object repeats."""
        told = {
            "model": model,
            "instructions": self.instructions,
            "max_output_tokens": self.max_output_tokens,
            "metadata": self.metadata,
            "parallel_tool_calls": self.parallel_tool_calls,
            "previous_response_id": self.previous_response_id,
            "store": self.store,
            "background": self.background,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "tool_choice": self.tool_choice,
            "tools": [_told(tool) for _, tool in tools] or None,
            "truncation": self.truncation,
            "user": self.user,
            "text": self.text and {"format": {"type": "text"}, **self.text.model_dump(exclude_none=True)},
            "reasoning": self.reasoning and self.reasoning.model_dump(),
            "conversation": self.conversation_name and {"id": self.conversation_name},
        }
        return {name: value for name, value in told.items() if value is not None}


class ResponsesForm:
    """One request's form. streams, dialect: whether it wants its answer as a stream, and how that tells it;
    known when it was read."""

    def __init__(self) -> None:
        self.streams = False
        self.dialect = Responses()

    async def read(self, gateway: Services, post: Post) -> Asked:
        """Unprocessable, with the field, for what does not fit or is not supported; NotFound for a response,
        an item or a session that is unknown or somebody else's."""
        body = await unhurried(len(post.body), partial(parse, post.body, ResponseBody))
        self.streams = bool(body.stream)
        place = await _place_of(gateway, post, body)
        new = await resolved(gateway, post.user_id, body.items)
        earlier = (
            [] if place.previous is None else await conversation_of(gateway, post.user_id, place.previous)
        )
        tools = usable_tools(body.tools or [], new, earlier)
        sampling = body.sampling(tools)
        max_bytes = gateway.max_attachment_bytes
        if isinstance(body.input, str):
            new_turns = [Turn("user", body.input)]
        else:
            new_turns = await unhurried(len(post.body), partial(turns_of, new, max_bytes))
        if not new_turns:
            raise misfit("input", "must hold a message, a function call or its output")
        turns = [*turns_of(earlier, max_bytes), *new_turns] if earlier else new_turns
        if body.instructions:
            turns = [Turn("system", body.instructions), *turns]
        turns = with_one_beginning(turns)
        _, said = latest_question(turns)
        check_chars(said, gateway.max_content_chars, "input")
        kept = body.store is not False
        settings = {**body.settings(answering_model(gateway, body.model), tools), "created_at": int(time())}
        request = partial(packed_request, settings, new, place.previous)
        question = Question(
            user_id=post.user_id,
            content=said,
            turns=turns,
            session_id=place.session_id,
            thread=place.thread,
            model=body.model,
            sampling=sampling,
            resumable=kept,
            unattended=bool(body.background),
            exact_events=kept,
            request=await unhurried(len(post.body), request) if kept else None,
            branch=_branch(place.previous, new_turns),
        )
        self.dialect = Responses(settings, model=settings["model"])
        return Asked(question, self.dialect, kept=kept)

    def whole(self, reply: StoredMessage, stream_id: str) -> dict[str, Any]:
        raise NotImplementedError("gateway.web.chat.responses_api answers in one piece")


class _Place(NamedTuple):
    """Where a request goes on. previous: the stream id of the response before it."""

    session_id: int | None
    thread: str | None
    previous: str | None


async def _place_of(gateway: Services, post: Post, body: ResponseBody) -> _Place:
    if body.previous_response_id is not None:
        previous = stream_of_response(body.previous_response_id)
        kept = await kept_response(gateway, post.user_id, previous)
        return _Place(kept.message.session_id, None, previous)
    if (name := body.conversation_name) is not None:
        thread = named_thread("responses", name)
        return _Place(None, thread, await latest_response(gateway, post.user_id, thread))
    return _Place(*await agent_session(gateway, post, "responses"), None)


def _branch(previous: str | None, new_turns: Sequence[Turn]) -> Branch | None:
    if previous is None:
        return branch_without_ids(new_turns)
    return Branch(previous, "answered" if new_turns[-1].role == "tool" else "now")


def _told(tool: dict[str, Any]) -> dict[str, Any]:
    """The tool as the response object repeats it, with all keys that clients need."""
    return {"strict": None, "parameters": None, **tool} if tool["type"] == "function" else tool


def _tool_choice(choice: str | Mapping[str, Any] | None) -> str | dict[str, Any] | None:
    match choice:
        case None | "none" | "auto" | "required":
            return choice
        case {"type": "function" | "custom", "name": str(name)}:
            return {"type": "function", "function": {"name": name}}
        case _:
            raise misfit("tool_choice", "must be none, auto, required or a function with a name")


def _response_format(format: Mapping[str, Any] | None) -> dict[str, Any] | None:
    match format:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return {"type": "json_object"}
        case {"type": "json_schema", "name": str(name), "schema": dict(schema)}:
            told: dict[str, Any] = {"name": name, "schema": schema}
            told |= {key: format[key] for key in ("strict", "description") if format.get(key) is not None}
            return {"type": "json_schema", "json_schema": told}
        case {"type": "json_schema"}:
            raise misfit("text.format", "must have a name and a schema")
        case _:
            raise misfit("text.format.type", "must be text, json_object or json_schema")
