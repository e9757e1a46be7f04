"""The objects of OpenAI's chat API, as far as they are answered here."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from gateway.contract.events import FinishReason
from gateway.web.api.views import TokensView
from gateway.web.description.schemas import sometimes


class CalledFunction(BaseModel):
    name: str
    arguments: Annotated[str, Field(description="JSON as the model wrote it, which may be broken.")]


class ChatToolCall(BaseModel):
    id: str
    type: Literal["function"]
    function: CalledFunction


class IndexedToolCall(ChatToolCall):
    index: int


class ChatDelta(BaseModel):
    """One of these: the first has a role and no text, the last is empty."""

    role: Annotated[Literal["assistant"], sometimes()]
    content: Annotated[str, sometimes()]
    reasoning_content: Annotated[str, sometimes()]
    tool_calls: Annotated[list[IndexedToolCall], sometimes()]


class ChunkChoice(BaseModel):
    index: Literal[0]
    delta: ChatDelta
    logprobs: None
    finish_reason: FinishReason | None


class ChatCompletionChunk(BaseModel):
    """One `data:` of a stream, but for the last, which is the bare word `[DONE]`; none follows an error.

    usage: there with `stream_options.include_usage`, null but in the last chunk, which has no choices.
    """

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Annotated[TokensView | None, sometimes()]


class ChatAnswer(BaseModel):
    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: Annotated[str, sometimes()]
    tool_calls: Annotated[list[ChatToolCall], sometimes()]


class ChatChoice(BaseModel):
    index: Literal[0]
    message: ChatAnswer
    logprobs: None
    finish_reason: FinishReason


class ChatCompletion(BaseModel):
    """usage: null where nobody counted."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: TokensView | None


class Model(BaseModel):
    id: str
    object: Literal["model"]
    created: int
    owned_by: Literal["sluice"]


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[Model]


class OpenAIErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(BaseModel):
    error: OpenAIErrorDetail
