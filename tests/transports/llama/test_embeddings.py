"""Embeddings of a model server: every form of its answer, its refusals, and the choice among several."""

import json
from array import array
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.contract.embeddings import Embeddings, EmbedRequest
from gateway.contract.errors import (
    ContextExceeded,
    GatewayError,
    ModelRefused,
    NotSupported,
    ProtocolViolation,
    Unreachable,
    UpstreamFailed,
)
from gateway.contract.transport import Abilities
from tests.transports.llama.raw_server import RawServer, raw_server
from tests.transports.llama.test_servers import House, Server
from transports.llama.transport import LlamaTransport

ONE = array("f", [0.5, -0.25])
TWO = array("f", [1.0, 2.0])
ASKED = EmbedRequest(["one", "two"])


def http(status: int, body: object) -> list[bytes]:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(encoded)}\r\n\r\n"
    return [head.encode(), encoded]


async def embeddings_of(status: int, body: object, request: EmbedRequest = ASKED) -> Embeddings:
    async with raw_server() as server:
        server.answer, server.ending = http(status, body), "close"
        return await LlamaTransport(server.url).abilities.embed(request)


def item(vector: "array[float]", index: int | None, *, as_text: bool = False) -> dict[str, Any]:
    said = b64encode(vector.tobytes()).decode() if as_text else list(vector)
    return {"embedding": said} | ({} if index is None else {"index": index})


async def asked_of(server: RawServer) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((await server.peer()).received.partition(b"\r\n\r\n")[2])
    return body


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize("order", [(0, 1), (1, 0), (None, None)])
async def test_vectors_are_understood(order: Sequence[int | None], as_text: bool) -> None:
    vectors = [ONE, TWO] if order != (1, 0) else [TWO, ONE]
    data = [item(vector, at, as_text=as_text) for vector, at in zip(vectors, order, strict=True)]
    made = await embeddings_of(200, {"data": data, "model": "m", "usage": {"prompt_tokens": 4}})
    assert made == Embeddings([ONE, TWO], "m", 4)


async def test_the_request_asks_for_base64_and_passes_tokens_and_dimensions_on() -> None:
    async with raw_server() as server:
        server.answer, server.ending = http(200, {"data": [item(ONE, 0)]}), "close"
        made = await LlamaTransport(server.url).abilities.embed(EmbedRequest([[1, 2]], "m", 2))
        asked = await asked_of(server)
    assert asked == {"input": [[1, 2]], "encoding_format": "base64", "model": "m", "dimensions": 2}
    assert made == Embeddings([ONE], "m", None)


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        b'{"data":[],"usage":{"prompt_tokens":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        {"data": [item(ONE, 0)]},
        {"data": [item(ONE, 0), item(ONE, 0)]},
        {"data": [item(ONE, 0), {"embedding": [], "index": 1}]},
        {"data": [item(ONE, 0), {"embedding": "AAA", "index": 1}]},
        {"data": [item(ONE, 0), {"embedding": "ä", "index": 1}]},
        {"data": [item(ONE, 0), item(array("f", [float("nan")]), 1, as_text=True)]},
        {"data": [item(ONE, 0), {"embedding": [1e300], "index": 1}]},
        {"data": [item(ONE, 0), {"embedding": [[1.0]], "index": 1}]},
        {"data": {"embedding": [1.0]}},
        {"error": "none"},
        [],
        None,
    ],
)
async def test_rubbish_is_a_violation(body: object) -> None:
    with pytest.raises(ProtocolViolation):
        await embeddings_of(200, body)


@pytest.mark.parametrize(
    ("status", "said", "error"),
    [
        (501, "This server does not support embeddings. Start it with `--embeddings`", NotSupported),
        (404, "File Not Found", NotSupported),
        (405, "Method Not Allowed", NotSupported),
        (400, "The model does not support Embeddings API", NotSupported),
        (400, "input must not be empty", ModelRefused),
        (
            500,
            "input (1202 tokens) is too large to process. increase the physical batch size",
            ContextExceeded,
        ),
        (500, "out of memory", UpstreamFailed),
    ],
)
async def test_refusals_are_understood(status: int, said: str, error: type[GatewayError]) -> None:
    with pytest.raises(error, match=said[:20].replace("(", r"\(").replace(")", r"\)")):
        await embeddings_of(status, {"error": {"message": said}})


async def test_half_a_character_is_refused_before_it_is_sent() -> None:
    async with raw_server() as server:
        with pytest.raises(ModelRefused, match="surrogate"):
            await LlamaTransport(server.url).abilities.embed(EmbedRequest(["\ud800"]))
        assert not server.peers


class Embedder(Server):
    """A server of these models. failure: raised instead of an answer."""

    def __init__(self, *models: str, slots: int = 1, failure: GatewayError | None = None) -> None:
        super().__init__(*models, slots=slots)
        self.failure = failure
        self.embedded: list[str | None] = []

    @property
    def abilities(self) -> Abilities:
        return Abilities(health=self.health, models=self.models, slots=self.total_slots, embed=self.embed)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        self.embedded.append(request.model)
        if self.failure is not None:
            raise self.failure
        return Embeddings([ONE], request.model, 1)


def cannot() -> NotSupported:
    return NotSupported("This server does not support embeddings.")


def broke() -> UpstreamFailed:
    error = UpstreamFailed("the model server hung up")
    error.broke_off = 1
    return error


async def test_the_server_with_the_model_and_the_most_room_is_asked() -> None:
    other, small, large = Embedder("chat"), Embedder("e", slots=1), Embedder("e", slots=2)
    async with House(other, small, large).running() as house:
        made = await house.all.embed(EmbedRequest(["one"], "e"))
    assert made.model == "e"
    assert (other.embedded, small.embedded, large.embedded) == ([], [], ["e"])


async def test_a_name_that_nobody_lists_means_the_first_model_that_makes_any() -> None:
    chat, embedder = Embedder("chat", failure=cannot()), Embedder("e")
    async with House(chat, embedder).running() as house:
        for _ in range(2):
            assert (await house.all.embed(EmbedRequest(["one"], "text-embedding-3-small"))).model == "e"
    assert chat.embedded == ["chat"]  # it is asked once


async def test_no_other_model_steps_in_for_one_that_is_named_or_away() -> None:
    chat, first, second = Embedder("chat", failure=cannot()), Embedder("e1"), Embedder("e2")
    first.well = False
    async with House(chat, first, second).running() as house:
        with pytest.raises(NotSupported):
            await house.all.embed(EmbedRequest(["one"], "chat"))
    assert second.embedded == []


async def test_while_the_servers_of_a_model_are_away_it_is_unreachable() -> None:
    first, second = Embedder("e1"), Embedder("e2")
    async with House(first, second).running() as house:
        first.well = False
        await house.all._servers[0].check()
        for model in ("e1", None):
            with pytest.raises(Unreachable):
                await house.all.embed(EmbedRequest(["one"], model))
    assert second.embedded == []


async def test_another_server_of_the_model_answers_for_one_that_is_away() -> None:
    away, there = Embedder("e", slots=9, failure=Unreachable("gone")), Embedder("e")
    async with House(away, there).running() as house:
        assert (await house.all.embed(EmbedRequest(["one"], "e"))).model == "e"
    assert (len(away.embedded), len(there.embedded)) == (1, 1)


async def test_no_third_server_gets_a_request_at_which_two_broke_off() -> None:
    servers = [Embedder("e", failure=broke()) for _ in range(3)]
    async with House(*servers).running() as house:
        with pytest.raises(UpstreamFailed, match="2 model servers"):
            await house.all.embed(EmbedRequest(["one"], "e"))
    assert sum(len(server.embedded) for server in servers) == 2
