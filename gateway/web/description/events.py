"""Models of the events of streams: one for each dialect, and one for session events."""

from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Field, RootModel

from gateway.contract.errors import ErrorReason
from gateway.contract.events import CancelReason, Delivery, FinishReason, Status
from gateway.web.api.views import AuthorView, Time, TokensView
from gateway.web.description.schemas import sometimes


class Metadata(BaseModel):
    """Always first. mode and delivery are expected values; the last event has the actual ones."""

    type: Literal["metadata"]
    session_id: int
    session_key: str
    user_message_id: int
    assistant_message_id: int
    stream_id: str
    mode: str
    delivery: Delivery
    resume_url: Annotated[str, sometimes("URL for an EventSource. Only for resumable replies.")]


class ChunkEvent(BaseModel):
    type: Literal["chunk"]
    content: Annotated[str, Field(description="The next part of the reply's text.")]


class ReasoningEvent(BaseModel):
    type: Literal["reasoning"]
    content: Annotated[str, Field(description="The next part of the model's reasoning.")]


class CalledTool(BaseModel):
    type: Literal["tool_call"]
    id: str
    name: str
    args: Annotated[str, Field(description="JSON as the model wrote it; it may be invalid.")]


class ProgressEvent(BaseModel):
    """Progress before the first text: `queued` with a position, `prompt` with token counts."""

    type: Literal["progress"]
    phase: Literal["queued", "prompt"]
    position: Annotated[int, sometimes("Position in the queue; 1 is next.")]
    processed: Annotated[int, sometimes("Prompt tokens that are processed.")]
    total: Annotated[int, sometimes("All prompt tokens.")]


class _End(BaseModel):
    assistant_message_id: int
    full_content: Annotated[str, Field(description="The whole text of the reply, as stored.")]
    mode: str
    delivery: Delivery
    model: Annotated[str, sometimes("The model that generated it.")]
    usage: Annotated[TokensView, sometimes()]
    ttft_ms: Annotated[float, sometimes("Milliseconds to the first token.")]
    tokens_per_s: Annotated[float, sometimes()]
    continued: Annotated[
        list[int],
        sometimes("Lengths of the text at which another server or worker went on, after a failure."),
    ]


class DoneEvent(_End):
    """Last event of a reply that did not fail. Unknown values are absent."""

    type: Literal["done"]
    reason: FinishReason | CancelReason


class ErrorEvent(_End):
    """Last event of a reply that failed."""

    type: Literal["error"]
    message: str
    code: str
    reason: ErrorReason
    retryable: bool


class LamRefusal(BaseModel):
    """The only event if a request is refused and its Accept does not name JSON."""

    type: Literal["error"]
    message: str
    code: Annotated[str, Field(description="The same as `code` of a problem.")]
    status: Annotated[int, Field(description="Status of the response.")]
    retryable: bool


class LamEvent(
    RootModel[
        Annotated[
            Union[Metadata, ChunkEvent, ReasoningEvent, CalledTool, ProgressEvent, DoneEvent, ErrorEvent],  # noqa: UP007
            Field(discriminator="type"),
        ]
    ]
):
    """One `data:` of the unified dialect. Exactly one of `done` and `error` ends a reply."""


class LunarToken(BaseModel):
    type: Literal["token"]
    content: str


class LunarToolCall(BaseModel):
    type: Literal["tool_call"]
    name: str
    args: Annotated[dict[str, Any] | list[Any] | str, Field(description="A string if it is invalid JSON.")]


class LunarError(BaseModel):
    type: Literal["error"]
    message: str


class LunarEvent(
    RootModel[
        Annotated[Union[LunarToken, LunarToolCall, LunarError], Field(discriminator="type")]  # noqa: UP007
    ]
):
    """One `data:` of lunar. The last `data:` is the bare word `[DONE]`, also after an error."""


class PrinterStart(BaseModel):
    """`event: stream_start`."""

    status: Literal["streaming"]


class PrinterConversation(BaseModel):
    """`event: conversation_id`, only for a new conversation."""

    conversation_id: str


class PrinterToken(BaseModel):
    """`event: message`."""

    token: str


class PrinterEnd(BaseModel):
    """`event: stream_end`, the last event of a reply that did not fail."""

    message_id: str
    status: Literal["complete", "cancelled"]


class PrinterError(BaseModel):
    """`event: error`, the last event of a reply that failed."""

    error: str


class PrinterEvent(
    RootModel[PrinterStart | PrinterConversation | PrinterToken | PrinterEnd | PrinterError],
):
    """One `data:` of printer. The line `event:` names its kind."""


class WordsEvent(RootModel[str]):
    """One `data:` of words: a string to append. An error is the string `Error: …`. No frame marks the end."""


class TextEvent(BaseModel):
    """One `data:` of text. `text` is to be appended."""

    text: str


class MessageEvent(BaseModel):
    """A question, or a message of a room that asks nothing. Their author may be a user or a device."""

    type: Literal["message"]
    message_id: int
    uuid: str
    author: AuthorView
    role: Annotated[
        Literal["user", "assistant"], Field(description="`assistant`: a client got the text elsewhere.")
    ]
    content: str
    created_at: Time
    origin: Annotated[
        Literal["room", "broadcast"], Field(description="`broadcast`: a client told the room about it.")
    ]
    client_id: Annotated[str | None, Field(description="Chosen by the client that sent it.")]
    parts: Annotated[
        list[dict[str, Any]], sometimes("The whole content, if it is more than text; see Message.")
    ]


class ReplyStartedEvent(BaseModel):
    """Also sent first for every reply that is being generated."""

    type: Literal["reply_started"]
    stream_id: str
    assistant_message_id: int
    user_message_id: int


class ReplyEndedEvent(BaseModel):
    type: Literal["reply_ended"]
    stream_id: str
    assistant_message_id: int
    status: Status
    reason: str


class BranchChosenEvent(BaseModel):
    """leaf_id: the last message that the session shows; null: its latest message."""

    type: Literal["branch_chosen"]
    leaf_id: int | None


class SessionEvent(
    RootModel[
        Annotated[
            Union[MessageEvent, ReplyStartedEvent, ReplyEndedEvent, BranchChosenEvent],  # noqa: UP007
            Field(discriminator="type"),
        ]
    ]
):
    """One `data:` of a session's events."""


class TypedEvent(BaseModel):
    """One `data:` of a model API's stream: an object with a `type` and that type's own fields."""

    model_config = ConfigDict(extra="allow")

    type: str


class AgUiEvent(TypedEvent):
    """One `data:` of AG-UI."""

    type: Annotated[str, Field(pattern="^[A-Z]+(_[A-Z]+)*$")]


class AnthropicEvent(TypedEvent):
    """One `data:` of Anthropic's Messages. The line `event:` has the same type."""

    type: Annotated[str, Field(pattern="^(message|content_block)_(start|delta|stop)$|^ping$|^error$")]


class ResponsesEvent(TypedEvent):
    """One `data:` of OpenAI's Responses. The line `event:` has the same type."""

    type: Annotated[str, Field(pattern="^response[.]|^error$")]


class AiSdkChunk(TypedEvent):
    """One `data:` of the AI SDK's UI message stream. The last one is the bare word `[DONE]`."""

    type: Annotated[str, Field(pattern="^(start|finish|abort|error|message-metadata)$|-")]
