"""Gets embeddings from a model server by OpenAI's `/v1/embeddings`."""

import asyncio
import binascii
import math
import sys
from array import array
from base64 import b64decode
from typing import Any

import msgspec

from gateway.contract.embeddings import Embeddings, EmbedRequest
from gateway.contract.errors import (
    ContextExceeded,
    GatewayError,
    ModelRefused,
    NotSupported,
    ProtocolViolation,
)
from gateway.contract.events import token_count
from transports.lenient.loose_json import UNREADABLE
from transports.llama.client import ModelServerClient, whole_body
from transports.llama.failures import ANSWERED, before_answer, in_answer
from transports.llama.replies import refusal_in

MAX_BYTES = 64 * 1024 * 1024
"""Maximum size of an answer: 2,048 vectors of 4,096 numbers are 45 MB in base64."""

NO_SUCH_ENDPOINT = (404, 405, 501)


class _Vector(msgspec.Struct):
    embedding: str | list[float]
    index: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: Any = None


class _Answer(msgspec.Struct):
    data: list[_Vector]
    model: str | None = None
    usage: _Usage | None = None


async def embeddings_of(client: ModelServerClient, request: EmbedRequest, model: str | None) -> Embeddings:
    """Return the vectors. Raises NotSupported if the server or its model makes none.

    model: the name to send; None sends none.
    """
    body: dict[str, Any] = {"input": list(request.inputs), "encoding_format": "base64"}
    if model is not None:
        body["model"] = model
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    answer = await answer_of(client, b"/v1/embeddings", body, request.trace)
    # Decoding a large answer takes long, so it is done in a thread.
    return await asyncio.to_thread(_embeddings_in, answer, len(request.inputs), model)


async def answer_of(client: ModelServerClient, path: bytes, body: dict[str, Any], trace: str | None) -> bytes:
    """Post JSON and return the body of the answer.

    Raises NotSupported if the server has no such endpoint or cannot do it, and the errors of a reply.
    """
    try:
        encoded = msgspec.json.encode(body)
    except UnicodeEncodeError as exc:
        raise ModelRefused("the text contains half a character (a lone surrogate)") from exc
    with before_answer:
        exchange = await client.post(path, encoded, trace)
    try:
        if exchange.status not in ANSWERED:
            raise _understood(exchange.status, await refusal_in(exchange))
        with in_answer:
            return await whole_body(exchange, MAX_BYTES)
    finally:
        exchange.close()


def _understood(status: int, error: GatewayError) -> GatewayError:
    """Return NotSupported for a server or a model without this ability, else the error itself."""
    said = str(error).lower()
    if status in NO_SUCH_ENDPOINT or ("support" in said and "embed" in said):
        return NotSupported(str(error))
    if "too large to process" in said:  # llama.cpp's 500 for a text longer than its physical batch
        return ContextExceeded(str(error))
    return error


def _embeddings_in(body: bytes, count: int, model: str | None) -> Embeddings:
    try:
        answer = msgspec.json.decode(body, type=_Answer)
        vectors = {at if item.index is None else item.index: item for at, item in enumerate(answer.data)}
        arrays = [vector_of(vectors[at].embedding) for at in range(count)]
    except (*UNREADABLE, KeyError) as exc:
        raise ProtocolViolation(f"the model server's embeddings were not understood: {exc}"[:200]) from exc
    tokens = None if answer.usage is None else token_count(answer.usage.prompt_tokens)
    return Embeddings(arrays, answer.model or model, tokens)


def vector_of(said: str | list[float]) -> "array[float]":
    """Return a vector from numbers, or from base64 of little-endian 32-bit floats.

    Raises ValueError if it is empty or not all of its numbers are finite.
    """
    if isinstance(said, list):
        vector = array("f", said)
    else:
        vector = array("f")
        try:
            vector.frombytes(b64decode(said, validate=True))
        except binascii.Error as exc:
            raise ValueError(f"not base64: {exc}") from exc
        if sys.byteorder == "big":
            vector.byteswap()
    if not vector or not math.isfinite(sum(vector)):
        raise ValueError("a vector is empty or holds a number that is not finite")
    return vector
