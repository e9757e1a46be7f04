"""Models of the OpenAI chat API's objects, with the fields that the gateway sends."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from gateway.contract.events import FinishReason
from gateway.web.api.views import TokensView
from gateway.web.description.schemas import sometimes


class CalledFunction(BaseModel):
    name: str
    arguments: Annotated[str, Field(description="JSON as the model wrote it; it may be invalid.")]


class ChatToolCall(BaseModel):
    id: str
    type: Literal["function"]
    function: CalledFunction


class IndexedToolCall(ChatToolCall):
    index: int


class ChatDelta(BaseModel):
    """Has one of these fields: the first delta has the role, the last one none."""

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
    """One `data:` of a stream. The last `data:` is the bare word `[DONE]`, but not after an error.

    usage: only with `stream_options.include_usage`; null except in the last chunk, which has no choices.
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
    """usage: null if the model server sent no token counts."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: TokensView | None
    system_fingerprint: None


class TextChoice(BaseModel):
    text: str
    index: int
    logprobs: None
    finish_reason: FinishReason | None


class TextCompletion(BaseModel):
    """A whole completion, and one `data:` of a stream, in which `usage` is as in ChatCompletionChunk."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: Annotated[TokensView | None, sometimes()]


class PromptTokens(BaseModel):
    prompt_tokens: int
    total_tokens: int


class Embedding(BaseModel):
    object: Literal["embedding"]
    index: int
    embedding: Annotated[
        list[float] | str, Field(description="With `encoding_format: base64` little-endian 32-bit floats.")
    ]


class Embeddings(BaseModel):
    """usage: null if the model server sent no token count."""

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: PromptTokens | None


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
