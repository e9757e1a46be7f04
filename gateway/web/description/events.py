"""What a stream's events hold, one schema for each dialect and one for a session's events."""

from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, Field, RootModel

from gateway.contract.errors import ErrorReason
from gateway.contract.events import CancelReason, Delivery, FinishReason, Status
from gateway.web.api.views import AuthorView, TokensView
from gateway.web.description.schemas import sometimes


class Metadata(BaseModel):
    """Always first. mode and delivery are what is expected; the end tells what was true."""

    type: Literal["metadata"]
    session_id: int
    session_key: str
    user_message_id: int
    assistant_message_id: int
    stream_id: str
    mode: str
    delivery: Delivery
    resume_url: Annotated[str, sometimes("Of a resumable reply, for an EventSource.")]


class ChunkEvent(BaseModel):
    type: Literal["chunk"]
    content: Annotated[str, Field(description="More of the reply.")]


class ReasoningEvent(BaseModel):
    type: Literal["reasoning"]
    content: Annotated[str, Field(description="What the model thinks before it answers.")]


class CalledTool(BaseModel):
    type: Literal["tool_call"]
    id: str
    name: str
    args: Annotated[str, Field(description="JSON as the model wrote it, which may be broken.")]


class ProgressEvent(BaseModel):
    """Why nothing is seen yet: `queued` with a position, `prompt` with token counts."""

    type: Literal["progress"]
    phase: Literal["queued", "prompt"]
    position: Annotated[int, sometimes("1 is next.")]
    processed: Annotated[int, sometimes()]
    total: Annotated[int, sometimes()]


class _End(BaseModel):
    assistant_message_id: int
    full_content: Annotated[str, Field(description="What was kept.")]
    mode: str
    delivery: Delivery
    model: Annotated[str, sometimes("Who served it.")]
    usage: Annotated[TokensView, sometimes()]
    ttft_ms: Annotated[float, sometimes()]
    tokens_per_s: Annotated[float, sometimes()]


class DoneEvent(_End):
    """Last, unless it failed. What is unknown is absent."""

    type: Literal["done"]
    reason: FinishReason | CancelReason


class ErrorEvent(_End):
    """Last, if it failed."""

    type: Literal["error"]
    message: str
    code: str
    reason: ErrorReason
    retryable: bool


class LamRefusal(BaseModel):
    """Instead of a reply that could not begin, where Accept does not name JSON."""

    type: Literal["error"]
    message: str
    code: Annotated[str, Field(description="As a problem has it.")]
    status: Annotated[int, Field(description="The answer's status.")]
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
    args: Annotated[dict[str, Any] | list[Any] | str, Field(description="As text where it is broken.")]


class LunarError(BaseModel):
    type: Literal["error"]
    message: str


class LunarEvent(
    RootModel[
        Annotated[Union[LunarToken, LunarToolCall, LunarError], Field(discriminator="type")]  # noqa: UP007
    ]
):
    """One `data:` of lunar, but for the last, which is the bare word `[DONE]`, also after an error."""


class PrinterStart(BaseModel):
    """`event: stream_start`."""

    status: Literal["streaming"]


class PrinterConversation(BaseModel):
    """`event: conversation_id`, only when the conversation is new."""

    conversation_id: str


class PrinterToken(BaseModel):
    """`event: message`."""

    token: str


class PrinterEnd(BaseModel):
    """`event: stream_end`, unless it failed."""

    message_id: str
    status: Literal["complete", "cancelled"]


class PrinterError(BaseModel):
    """`event: error`, and nothing after it."""

    error: str


class PrinterEvent(
    RootModel[PrinterStart | PrinterConversation | PrinterToken | PrinterEnd | PrinterError],
):
    """The `data:` of printer's events, which the line `event:` tells apart."""


class WordsEvent(RootModel[str]):
    """One `data:` of words: a string to append. An error is the string `Error: …`; the stream just ends."""


class TextEvent(BaseModel):
    """One `data:` of text: words in an object."""

    text: str


class QuestionEvent(BaseModel):
    type: Literal["message"]
    message_id: int
    author: AuthorView
    role: Literal["user"]
    content: str
    parts: Annotated[
        list[dict[str, Any]], sometimes("All of the content, where it is more than text; see Message.")
    ]


class ReplyStartedEvent(BaseModel):
    """Also told at once of every reply in the making."""

    type: Literal["reply_started"]
    stream_id: str
    assistant_message_id: int


class ReplyEndedEvent(BaseModel):
    type: Literal["reply_ended"]
    stream_id: str
    assistant_message_id: int
    status: Status
    reason: str


class SessionEvent(
    RootModel[
        Annotated[
            Union[QuestionEvent, ReplyStartedEvent, ReplyEndedEvent],  # noqa: UP007
            Field(discriminator="type"),
        ]
    ]
):
    """One `data:` of a session's events."""
