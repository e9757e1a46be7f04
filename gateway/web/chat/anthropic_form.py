"""Parses the body of Anthropic's `POST /v1/messages` into a question with its whole history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.contract.branches import Branch
from gateway.contract.misfits import misfit
from gateway.contract.model_limits import check_sampling
from gateway.contract.record import replace
from gateway.contract.requests import Sampling, Turn
from gateway.contract.store import StoredMessage
from gateway.core.question import Question
from gateway.dialects.anthropic import Anthropic, message_json
from gateway.web.chat.agent_sessions import agent_session
from gateway.web.chat.anthropic_blocks import AnthropicMessage, Blocks, turns_of, with_reminders
from gateway.web.chat.anthropic_threads import thread_of
from gateway.web.chat.anthropic_tools import function_of
from gateway.web.chat.branches import branch_without_ids
from gateway.web.chat.forms import Asked, Post
from gateway.web.chat.whole_conversations import answering_model, latest_question, with_one_beginning
from gateway.web.http.bodies import AtMost2048, Stop, TokenCount, parse
from gateway.web.http.content_field import check_chars
from gateway.web.http.large_bodies import unhurried
from gateway.web.services import Services

_TOOL_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


class OutputConfig(BaseModel):
    """format: of structured outputs."""

    model_config = ConfigDict(extra="ignore", strict=True)

    format: dict[str, Any] | None = None


class MessagesBody(BaseModel):
    """A request of Anthropic's API. Fields that are not listed are ignored.

    output_format: the older name of `output_config.format`.
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
    output_config: OutputConfig | None = None
    output_format: dict[str, Any] | None = None

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
            tools=[function_of(at, tool) for at, tool in enumerate(self.tools)] if self.tools else None,
            tool_choice=_tool_choice(self.tool_choice),
            response_format=_response_format(self),
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
        body = await unhurried(len(post.body), partial(parse, post.body, MessagesBody))
        self.streams = bool(body.stream)
        asked = await asked_messages(gateway, post.user_id, body, len(post.body))
        _, said = latest_question(asked.turns)
        check_chars(said, gateway.max_content_chars, "messages")
        session_id, thread = asked.session_id, None
        if session_id is None:
            session_id, thread = await agent_session(gateway, post, "anthropic")
        question = Question(
            user_id=post.user_id,
            content=said,
            turns=with_reminders(asked.turns),
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


async def asked_messages(gateway: Services, user_id: str, body: MessagesBody, size: int) -> AskedMessages:
    """Raises Unprocessable, naming the field, and ThreadNotFound. size: of the body in bytes."""
    thread = await thread_of(gateway, user_id, body.thread)
    max_bytes = gateway.max_attachment_bytes
    new = await unhurried(size, lambda: with_one_beginning(turns_of(body.system, body.messages, max_bytes)))
    if thread is None:
        return AskedMessages(new, branch_without_ids(new), body.sampling(), body.model)
    given = body.model_dump(exclude_none=True)
    try:
        whole = MessagesBody.model_validate(thread.whole(given))
    except ValidationError as error:
        raise misfit("thread", "has too many messages together with these") from error
    turns = new
    if thread.messages:
        turns = with_one_beginning(turns_of(whole.system, whole.messages, max_bytes))
    branch = branch_without_ids(new)
    if thread.previous is not None:
        branch = replace(branch, after=thread.previous)
    kept = thread.kept(given)
    return AskedMessages(turns, branch, whole.sampling(), whole.model, thread.session_id, kept)


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


def _response_format(body: MessagesBody) -> dict[str, Any] | None:
    config = body.output_config
    match body.output_format if config is None or config.format is None else config.format:
        case None:
            return None
        case {"type": "json_schema", "schema": dict(schema)}:
            return {"type": "json_schema", "json_schema": {"name": "output", "schema": schema}}
        case _:
            raise misfit("output_config.format", "must be of type json_schema with a schema")
