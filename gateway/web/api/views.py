"""The JSON of stored sessions, messages and templates. Every field is always present."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from gateway.contract.authors import Author, AuthorKind
from gateway.contract.content import size_of
from gateway.contract.events import Delivery, Status, Usage
from gateway.contract.room_events import Origin
from gateway.contract.store import StoredMessage, StoredSession
from gateway.contract.templates import StoredTemplate
from gateway.web.http.content_field import parts_schema
from gateway.web.relay.elsewhere import live_sessions
from gateway.web.services import Services


def _parts_or_null(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [parts_schema(), {"type": "null"}]


Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, description="In UTC.")]


@dataclass(frozen=True, slots=True)
class Session:
    """key: a short name for people; it gives no access."""

    id: int
    uuid: str
    key: str
    title: str
    created_at: Time
    updated_at: Time
    leaf_id: Annotated[
        int | None,
        Field(description="The last message of the branch that was chosen; null: the latest message."),
    ]
    live: Annotated[
        bool, Field(description="True if a reply is being generated in it; not told in an export.")
    ]
    room: Annotated[bool, Field(description="True if it has members; not told in an export.")]


@dataclass(frozen=True, slots=True)
class TokensView:
    """Token counts of the model server."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class ToolCallView:
    id: str
    name: str
    args: Annotated[str, Field(description="JSON as the model wrote it; it may be invalid.")]


@dataclass(frozen=True, slots=True)
class MessageError:
    """The error of a failed reply."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class AuthorView:
    """name: name of the user, device or model; null if the model is unknown."""

    kind: AuthorKind
    name: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """A user's message or a reply. Fields that only replies have are null in a user's message."""

    id: int
    uuid: str
    session_id: int
    parent_id: Annotated[int | None, Field(description="Id of the message that this one follows.")]
    author: AuthorView
    role: Literal["user", "assistant"]
    content: str
    status: Status
    reason: Annotated[str | None, Field(description="Why the reply ended.")]
    created_at: Time
    usage: TokensView | None
    delivery: Delivery | None
    mode: str | None
    model: Annotated[str | None, Field(description="The model that generated it.")]
    stream_id: str | None
    reasoning: str | None
    tool_calls: Sequence[ToolCallView]
    error: MessageError | None
    parts: Annotated[
        Sequence[Mapping[str, Any]] | None,
        Field(
            description="The whole content in the form of the request, if it is more than text.",
            json_schema_extra=_parts_or_null,
        ),
    ]
    siblings: Annotated[
        Sequence[int] | None,
        Field(
            description="With `path=1` the ids of all messages with the same parent, its own too, the oldest "
            "first; else null."
        ),
    ]
    sibling_index: Annotated[
        int | None,
        Field(description="With `path=1` the index of its own id in `siblings`; else null."),
    ]
    continued: Annotated[
        Sequence[int] | None,
        Field(description="Lengths of the text at which another server or worker went on; null: none did."),
    ]
    origin: Annotated[
        Origin | None,
        Field(
            description="Of a message that asks nothing: `room`, or `broadcast` if a client told the room "
            "about a message that it got elsewhere; else null."
        ),
    ]
    client_id: Annotated[str | None, Field(description="Chosen by the client that sent the message.")]


@dataclass(frozen=True, slots=True)
class StreamState:
    """reason: why the reply ended."""

    stream_id: str
    status: Status
    reason: str | None


@dataclass(frozen=True, slots=True)
class TemplateView:
    """A stored template. Settings that it does not set are null."""

    id: int
    name: str
    system_prompt: str | None
    model: str | None
    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    stop: str | Sequence[str] | None
    seed: int | None
    tools: Sequence[Mapping[str, Any]] | None
    tool_choice: str | Mapping[str, Any] | None
    response_format: Mapping[str, Any] | None
    options: Mapping[str, Any] | None
    created_at: Time
    updated_at: Time


def session_view(session: StoredSession, *, live: bool = False, room: bool = False) -> Session:
    return Session(
        id=session.id,
        uuid=session.uuid,
        key=session.key,
        title=session.title,
        created_at=session.created_at.isoformat(),
        updated_at=session.updated_at.isoformat(),
        leaf_id=session.leaf_id,
        live=live,
        room=room,
    )


async def view_of(gateway: Services, user_id: str, session: StoredSession) -> Session:
    """Return a session as one of its users sees it."""
    live = session.id in await live_sessions(gateway, [session.id])
    return session_view(session, live=live, room=gateway.rooms.is_member(user_id, session.id))


def message_view(message: StoredMessage) -> Message:
    usage, error = message.usage, message.error
    return Message(
        id=message.id,
        uuid=message.uuid,
        session_id=message.session_id,
        parent_id=message.parent_id,
        author=author_view(message.author),
        role=message.role,
        content=message.content,
        status=message.status,
        reason=message.reason,
        created_at=message.created_at.isoformat(),
        usage=None if usage is None else _tokens(usage),
        delivery=message.delivery,
        mode=message.mode,
        model=message.model,
        stream_id=message.stream_id,
        reasoning=message.reasoning,
        tool_calls=[ToolCallView(call.id, call.name, call.arguments) for call in message.tool_calls],
        error=None if error is None else MessageError(error.code, error.message),
        parts=[part.as_json() for part in message.parts] or None,
        siblings=message.siblings or None,
        sibling_index=message.siblings.index(message.id) if message.siblings else None,
        continued=message.seams or None,
        origin=message.origin,
        client_id=message.client_id,
    )


def author_view(author: Author) -> AuthorView:
    return AuthorView(author.kind, author.name)


def attached_bytes(messages: Iterable[StoredMessage]) -> int:
    """Return the approximate size of the attachments in the messages' JSON."""
    return sum(size_of(part) for message in messages for part in message.parts)


def _tokens(usage: Usage) -> TokensView:
    return TokensView(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)


def template_view(stored: StoredTemplate) -> TemplateView:
    template = stored.template
    sampling = template.sampling
    return TemplateView(
        id=stored.id,
        name=template.name,
        system_prompt=template.system_prompt,
        model=template.model,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_tokens=sampling.max_tokens,
        stop=sampling.stop,
        seed=sampling.seed,
        tools=sampling.tools,
        tool_choice=sampling.tool_choice,
        response_format=sampling.response_format,
        options=dict(sampling.options) or None,
        created_at=stored.created_at.isoformat(),
        updated_at=stored.updated_at.isoformat(),
    )
