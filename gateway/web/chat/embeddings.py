"""Embeddings by OpenAI's API and by Ollama's. Nothing of them is stored but the number of tokens."""

import sys
from abc import ABC, abstractmethod
from array import array
from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from time import perf_counter_ns
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.contract.embeddings import Embeddings, EmbedRequest, Input
from gateway.contract.errors import StorageFailed
from gateway.contract.exchanges import Charge
from gateway.contract.misfits import misfit
from gateway.core.budgets import CHARS_PER_TOKEN
from gateway.dialects.json_encoding import json_bytes
from gateway.web.chat.whole_conversations import answering_model
from gateway.web.door.callers import caller_of
from gateway.web.http.asgi import Receive, Scope, Send, connection_of
from gateway.web.http.bodies import parse
from gateway.web.http.departures import unless_gone
from gateway.web.http.endpoint import read_request
from gateway.web.http.large_bodies import unhurried
from gateway.web.http.problems import send_json_bytes
from gateway.web.http.traced_requests import trace_of
from gateway.web.services import Services

MAX_INPUTS = 2048
"""OpenAI's own limit."""
MAX_TOKEN_ID = 2**31 - 1
BYTES_PER_NUMBER = 12
"""Approximate length of a number as JSON."""

_TEXT = {"type": "string", "minLength": 1}
_TOKENS = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "integer", "minimum": 0, "maximum": MAX_TOKEN_ID},
}
_TEXTS, _TOKEN_LISTS = (
    {"type": "array", "minItems": 1, "maxItems": MAX_INPUTS, "items": item} for item in (_TEXT, _TOKENS)
)
_OPENAI_INPUT: dict[str, Any] = {"anyOf": [_TEXT, _TEXTS, _TOKENS, _TOKEN_LISTS]}
_OLLAMA_INPUT: dict[str, Any] = {
    "anyOf": [{"type": "string"}, {**_TEXTS, "minItems": 0}, {"type": "null"}],
}
Model = Annotated[str, Field(max_length=256)]
Dimensions = Annotated[int, Field(ge=1, le=65_536)]


class EmbeddingsBody(BaseModel):
    """OpenAI's request. Other fields are ignored.

    input: a text, a list of texts, or the same as lists of the model's own token ids.
    dimensions: length of the vectors, if the model can shorten them.
    """

    model_config = ConfigDict(extra="ignore", strict=True)

    input: Annotated[Any, Field(json_schema_extra=_OPENAI_INPUT)]
    model: Model | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Dimensions | None = None


class OllamaEmbedBody(BaseModel):
    """Ollama's request. Other fields are ignored, also `truncate`: a text that is too long is refused."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model: Model = ""
    input: Annotated[Any, Field(json_schema_extra=_OLLAMA_INPUT)] = None
    dimensions: Dimensions | None = None


class OllamaEmbeddingsBody(BaseModel):
    """The request of Ollama's older endpoint. Other fields are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model: Model = ""
    prompt: str = ""


class _Embedding(ABC):
    """One endpoint. A request without inputs needs no model."""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway, caller = self._gateway, caller_of(scope)
        raw = await read_request(gateway, scope, receive)
        request, body = await unhurried(len(raw), partial(self.read, raw))
        began = perf_counter_ns()
        if not request.inputs:
            nothing = Embeddings([], request.model or answering_model(gateway, None))
            await self._send(send, nothing, request, body, began)
            return
        asked = EmbedRequest(
            request.inputs,
            request.model,
            request.dimensions,
            deadline_s=gateway.reply_deadline_s,
            trace=trace_of(scope),
        )
        async with gateway.conversations.occupying(caller.user_id, caller.allowance):
            made = await unless_gone(connection_of(scope), gateway.modes.embed(asked))
        if made is None:
            return  # the client has disconnected
        if caller.key_id is not None:
            with suppress(StorageFailed):  # the vectors are made
                await gateway.budgets.charge(Charge(caller.key_id, _tokens_of(asked, made)))
        try:
            await self._send(send, made, request, body, began)
        finally:
            with suppress(StorageFailed):  # the client has its vectors
                tokens = made.prompt_tokens or 0
                await gateway.usage.count_embeddings(caller.user_id, made.model, tokens)

    async def _send(
        self, send: Send, made: Embeddings, request: EmbedRequest, body: Any, began_ns: int
    ) -> None:
        _check_dimensions(made, request.dimensions)
        size = BYTES_PER_NUMBER * sum(map(len, made.vectors))
        took_ns = perf_counter_ns() - began_ns
        answer = await unhurried(size, lambda: json_bytes(self.answer(made, body, took_ns)))
        await send_json_bytes(send, 200, answer)

    @abstractmethod
    def read(self, raw: bytes) -> tuple[EmbedRequest, Any]:
        """Return what is asked, and the body. Raises Unprocessable, naming the field."""

    @abstractmethod
    def answer(self, made: Embeddings, body: Any, took_ns: int) -> dict[str, Any]:
        """Return the JSON object of the response."""

    def _inputs(self, said: object, field: str) -> list[Input]:
        if isinstance(said, str):
            return [self._text(said, field)]
        if not isinstance(said, list) or not said:
            raise misfit(field, "must be a text, or a list that is not empty")
        if all(isinstance(item, int) for item in said):
            return [_tokens(said, field)]
        if len(said) > MAX_INPUTS:
            raise misfit(field, f"must have at most {MAX_INPUTS} items, not {len(said)}")
        return [
            self._text(item, f"{field}.{at}") if isinstance(item, str) else _tokens(item, f"{field}.{at}")
            for at, item in enumerate(said)
        ]

    def _text(self, text: str, field: str) -> str:
        most = self._gateway.max_content_chars
        if not text:
            raise misfit(field, "must not be empty")
        if len(text) > most:
            raise misfit(field, f"must have at most {most} characters, not {len(text)}")
        return text


class OpenAIEmbeddings(_Embedding):
    """`POST /v1/embeddings`"""

    def read(self, raw: bytes) -> tuple[EmbedRequest, EmbeddingsBody]:
        body = parse(raw, EmbeddingsBody)
        return EmbedRequest(self._inputs(body.input, "input"), body.model, body.dimensions), body

    def answer(self, made: Embeddings, body: EmbeddingsBody, took_ns: int) -> dict[str, Any]:
        encode = in_base64 if body.encoding_format == "base64" else list
        data = [
            {"object": "embedding", "index": at, "embedding": encode(vector)}
            for at, vector in enumerate(made.vectors)
        ]
        tokens = made.prompt_tokens
        usage = None if tokens is None else {"prompt_tokens": tokens, "total_tokens": tokens}
        model = made.model or answering_model(self._gateway, body.model)
        return {"object": "list", "data": data, "model": model, "usage": usage}


class OllamaEmbed(_Embedding):
    """`POST /api/embed`"""

    def read(self, raw: bytes) -> tuple[EmbedRequest, OllamaEmbedBody]:
        body = parse(raw, OllamaEmbedBody)
        inputs = self._inputs(body.input, "input") if body.input else []
        if not all(isinstance(text, str) for text in inputs):
            raise misfit("input", "must be a text or a list of texts")
        return EmbedRequest(inputs, body.model or None, body.dimensions), body

    def answer(self, made: Embeddings, body: OllamaEmbedBody, took_ns: int) -> dict[str, Any]:
        return {
            "model": body.model or made.model,
            "embeddings": [list(vector) for vector in made.vectors],
            "total_duration": took_ns,
            "load_duration": 0,
            "prompt_eval_count": made.prompt_tokens or 0,
        }


class OllamaEmbeddings(_Embedding):
    """`POST /api/embeddings`"""

    def read(self, raw: bytes) -> tuple[EmbedRequest, OllamaEmbeddingsBody]:
        body = parse(raw, OllamaEmbeddingsBody)
        inputs = [self._text(body.prompt, "prompt")] if body.prompt else []
        return EmbedRequest(inputs, body.model or None), body

    def answer(self, made: Embeddings, body: OllamaEmbeddingsBody, took_ns: int) -> dict[str, Any]:
        return {"embedding": list(made.vectors[0]) if made.vectors else []}


def in_base64(vector: "array[float]") -> str:
    """Return the numbers as OpenAI's clients decode them: little-endian 32-bit floats in base64."""
    if sys.byteorder == "big":
        vector = array("f", vector)
        vector.byteswap()
    return b64encode(vector.tobytes()).decode("ascii")


def _tokens(said: Any, field: str) -> Sequence[int]:
    if not isinstance(said, list) or not said:
        raise misfit(field, "must be a text, or a list of token ids that is not empty")
    if not all(type(token) is int and 0 <= token <= MAX_TOKEN_ID for token in said):
        raise misfit(field, f"must hold token ids from 0 to {MAX_TOKEN_ID} and nothing else")
    return said


def _tokens_of(request: EmbedRequest, made: Embeddings) -> int:
    """Return the tokens that the model server counted, else an estimate by the length of the texts."""
    if made.prompt_tokens is not None:
        return made.prompt_tokens
    chars = sum(len(each) for each in request.inputs if isinstance(each, str))
    return (
        sum(len(each) for each in request.inputs if not isinstance(each, str)) + chars // CHARS_PER_TOKEN + 1
    )


def _check_dimensions(made: Embeddings, wanted: int | None) -> None:
    length = len(made.vectors[0]) if made.vectors else wanted
    if wanted is not None and length != wanted:
        raise misfit("dimensions", f"must be {length}: this model cannot make other vectors")
