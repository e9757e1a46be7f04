"""A model that makes embeddings and counts tokens, in place of a model server."""

from array import array

from gateway.contract.embeddings import Embeddings, EmbedRequest
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Abilities
from transports.scripted import Script, ScriptedTransport

LENGTH = 3
"""Of every vector, unless a request names another."""


def vector_for(number: float, length: int = LENGTH) -> "array[float]":
    return array("f", [number / 10] * length)


async def embed(request: EmbedRequest) -> Embeddings:
    """The vector of an input tells its length."""
    sizes = [len(given) for given in request.inputs]
    vectors = [vector_for(size, request.dimensions or LENGTH) for size in sizes]
    return Embeddings(vectors, "tiny", sum(sizes))


async def count_tokens(request: ChatRequest) -> int:
    """One token for each turn."""
    return len(request.turns)


def embedding_model(script: Script = lambda _: []) -> ScriptedTransport:
    able = Abilities(embed=embed, count_tokens=count_tokens, models=lambda: ["tiny"])
    return ScriptedTransport(script, name="sse", abilities=able)
