"""Embeddings through the whole gateway: the answers of OpenAI's and Ollama's endpoints, and bad input."""

import asyncio
from array import array
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.embeddings import Embeddings, EmbedRequest
from gateway.contract.errors import NotSupported, Unreachable
from gateway.contract.transport import Abilities
from tests.web.embedding_model import embedding_model, vector_for
from tests.web.event_source import EventSource
from tests.web.gateway_server import served
from tests.web.key_holders import bearer, make_key
from tests.web.raw_reader import RawReader
from transports.scripted import ScriptedTransport

OPENAI = "/v1/embeddings"
OLLAMA = "/api/embed"
OLDER = "/api/embeddings"


async def test_openais_answer_has_a_vector_for_each_text_in_their_order(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [], sse=embedding_model()) as gateway:
        answer = await gateway.http.post(OPENAI, json={"model": "tiny", "input": ["four", "no"]})
        sessions = (await gateway.http.get("/api/chatbot/sessions?all=1")).json()
    assert answer.status_code == 200
    assert answer.json() == {
        "object": "list",
        "model": "tiny",
        "data": [
            {"object": "embedding", "index": 0, "embedding": list(vector_for(4))},
            {"object": "embedding", "index": 1, "embedding": list(vector_for(2))},
        ],
        "usage": {"prompt_tokens": 6, "total_tokens": 6},
    }
    assert sessions == []


async def test_base64_holds_the_same_numbers(tmp_path: Path) -> None:
    body = {"input": "four", "encoding_format": "base64"}
    async with served(tmp_path, lambda _: [], sse=embedding_model()) as gateway:
        answer = await gateway.http.post(OPENAI, json=body)
    (item,) = answer.json()["data"]
    assert array("f", b64decode(item["embedding"])) == vector_for(4)


@pytest.mark.parametrize(
    ("given", "lengths"), [([7, 8, 9], [3]), ([[7], [8, 9]], [1, 2]), (["a", [1, 2]], [1, 2])]
)
async def test_token_ids_are_passed_on(tmp_path: Path, given: Any, lengths: list[int]) -> None:
    async with served(tmp_path, lambda _: [], sse=embedding_model()) as gateway:
        answer = await gateway.http.post(OPENAI, json={"input": given})
    assert [item["embedding"][0] for item in answer.json()["data"]] == [vector_for(n)[0] for n in lengths]


async def test_ollamas_answers(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [], sse=embedding_model()) as gateway:
        http = gateway.http
        many = (await http.post(OLLAMA, json={"model": "tiny", "input": ["four", "no"]})).json()
        one = (await http.post(OLLAMA, json={"model": "tiny", "input": "four"})).json()
        none = (await http.post(OLLAMA, json={"model": "tiny", "input": ""})).json()
        older = (await http.post(OLDER, json={"model": "tiny", "prompt": "four"})).json()
        empty = (await http.post(OLDER, json={"model": "tiny"})).json()
    assert many["embeddings"] == [list(vector_for(4)), list(vector_for(2))]
    assert (many["model"], many["prompt_eval_count"]) == ("tiny", 6)
    assert many["total_duration"] >= 0
    assert one["embeddings"] == [list(vector_for(4))]
    assert none["embeddings"] == []
    assert older == {"embedding": list(vector_for(4))}
    assert empty == {"embedding": []}


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "input"),
    ({"input": None}, "input"),
    ({"input": 5}, "input"),
    ({"input": {}}, "input"),
    ({"input": ""}, "input"),
    ({"input": []}, "input"),
    ({"input": ["a", ""]}, "input.1"),
    ({"input": ["a", None]}, "input.1"),
    ({"input": [[]]}, "input.0"),
    ({"input": [["a"]]}, "input.0"),
    ({"input": [[1.5]]}, "input.0"),
    ({"input": [[True]]}, "input.0"),
    ({"input": [True]}, "input"),
    ({"input": [-1]}, "input"),
    ({"input": [2**40]}, "input"),
    ({"input": ["a"] * 2049}, "input"),
    ({"input": ["a"] * 10_000}, "input"),
    ({"input": ["a" * 40_000]}, "input.0"),
    ({"input": "a", "dimensions": 0}, "dimensions"),
    ({"input": "a", "dimensions": "3"}, "dimensions"),
    ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
    ({"input": "a", "model": 7}, "model"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
async def test_bad_input_is_refused_by_name(tmp_path: Path, body: dict[str, Any], field: str) -> None:
    async with served(tmp_path, lambda _: [], sse=embedding_model()) as gateway:
        answer = await gateway.http.post(OPENAI, json=body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", field)


@pytest.mark.parametrize(
    "body", [{"input": 5}, {"input": ["a"] * 10_000}, {"input": [[1]]}, {"input": ["a", 1]}, {"model": []}]
)
async def test_ollama_refuses_in_its_own_shape(tmp_path: Path, body: dict[str, Any]) -> None:
    async with served(tmp_path, lambda _: [], sse=embedding_model()) as gateway:
        answer = await gateway.http.post(OLLAMA, json=body)
        older = await gateway.http.post(OLDER, json={"prompt": body})
    for refused in (answer, older):
        assert refused.status_code == 400
        assert list(refused.json()) == ["error"]


async def test_more_values_than_a_body_may_have_are_refused(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [], sse=embedding_model()) as gateway:
        answer = await gateway.http.post(OPENAI, json={"input": list(range(40_000))})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "body")


async def test_nul_is_a_character_like_any_other(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [], sse=embedding_model()) as gateway:
        answer = await gateway.http.post(OPENAI, json={"input": "a\0b"})
    assert answer.json()["data"][0]["embedding"] == list(vector_for(3))


async def test_a_model_that_cannot_shorten_its_vectors_is_a_refusal(tmp_path: Path) -> None:
    async def stiff(_: EmbedRequest) -> Embeddings:
        return Embeddings([vector_for(1, 8)], "tiny", 1)

    model = ScriptedTransport(lambda _: [], name="sse", abilities=Abilities(embed=stiff))
    async with served(tmp_path, lambda _: [], sse=model) as gateway:
        answer = await gateway.http.post(OPENAI, json={"input": "a", "dimensions": 4})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "dimensions")
    assert "8" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", [OPENAI, OLLAMA, OLDER])
async def test_it_is_501_where_nobody_makes_embeddings(tmp_path: Path, path: str) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        answer = await gateway.http.post(path, json={"input": "a", "prompt": "a"})
    assert answer.status_code == 501
    assert "embeddings" in answer.text
    if path == OPENAI:
        assert answer.json()["error"]["code"] == "not_supported"
        assert answer.headers["x-should-retry"] == "false"
    else:
        assert list(answer.json()) == ["error"]


async def test_mode_auto_asks_the_next_one_that_can(tmp_path: Path) -> None:
    able = embedding_model()
    async with served(tmp_path, lambda _: [], mqtt=able, llm_comm_mode="auto") as gateway:
        answer = await gateway.http.post(OPENAI, json={"input": "four"})
    assert answer.json()["data"][0]["embedding"] == list(vector_for(4))


async def test_mode_auto_does_not_answer_with_another_model_while_the_first_is_away(tmp_path: Path) -> None:
    async def away(_: EmbedRequest) -> Embeddings:
        raise Unreachable("the model server cannot be reached")

    first = ScriptedTransport(lambda _: [], name="sse", abilities=Abilities(embed=away))
    async with served(
        tmp_path, lambda _: [], sse=first, mqtt=embedding_model(), llm_comm_mode="auto"
    ) as gateway:
        answer = await gateway.http.post(OPENAI, json={"input": "four"})
    assert answer.status_code == 503


async def test_a_client_that_leaves_stops_the_request(tmp_path: Path) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def endless(_: EmbedRequest) -> Embeddings:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise NotSupported("never")

    model = ScriptedTransport(lambda _: [], name="sse", abilities=Abilities(embed=endless))
    async with served(tmp_path, lambda _: [], sse=model) as gateway:
        reader = RawReader(EventSource())
        await reader.ask(gateway.http.build_request("POST", OPENAI, json={"input": "a"}), None)
        await begun.wait()
        await reader.close()
        await stopped.wait()


async def test_the_deadline_of_a_reply_holds(tmp_path: Path) -> None:
    async def endless(_: EmbedRequest) -> Embeddings:
        await asyncio.Event().wait()
        raise NotSupported("never")

    model = ScriptedTransport(lambda _: [], name="sse", abilities=Abilities(embed=endless))
    async with served(tmp_path, lambda _: [], sse=model, reply_deadline_s=1) as gateway:
        late = await gateway.http.post(OPENAI, json={"input": "a"})
    assert late.status_code == 504


async def test_it_counts_as_one_of_the_users_simultaneous_replies(tmp_path: Path) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: EmbedRequest) -> Embeddings:
        begun.set()
        await go_on.wait()
        return Embeddings([vector_for(1)], "tiny", 1)

    model = ScriptedTransport(lambda _: [], name="sse", abilities=Abilities(embed=slow))
    async with served(tmp_path, lambda _: [], sse=model) as gateway, asyncio.TaskGroup() as tasks:
        key = bearer(await make_key(gateway, "anna", streams=1))
        first = tasks.create_task(gateway.http.post(OPENAI, json={"input": "a"}, headers=key))
        await begun.wait()
        second = await gateway.http.post(OPENAI, json={"input": "a"}, headers=key)
        go_on.set()
        assert (await first).status_code == 200
        assert (await gateway.http.post(OPENAI, json={"input": "a"}, headers=key)).status_code == 200
    assert second.status_code == 429


async def test_its_tokens_are_in_the_users_usage_and_it_is_no_reply(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [], sse=embedding_model()) as gateway:
        for path, body in ((OPENAI, {"input": ["four", "no"]}), (OLDER, {"prompt": "four"}), (OLLAMA, {})):
            answer = await gateway.http.post(path, json={"model": "tiny", **body})
            assert answer.status_code == 200
    async with served(tmp_path, lambda _: []) as gateway:  # all is stored when the first one has stopped
        (used,) = (await gateway.http.get("/api/chatbot/usage")).json()
        told = (await gateway.http.get("/api/metrics")).json()
    counts = [used[name] for name in ("replies", "prompt_tokens", "completion_tokens", "total_tokens")]
    assert (used["model"], counts) == ("tiny", [0, 10, 0, 10])
    assert told["stats"]["messagestoday"] == 0


async def test_a_stop_waits_for_a_request_and_takes_no_further_one(tmp_path: Path) -> None:
    begun, held = asyncio.Event(), asyncio.Event()

    async def embed(request: EmbedRequest) -> Embeddings:
        begun.set()
        await held.wait()
        return Embeddings([vector_for(4)], "tiny", 4)

    model = ScriptedTransport(lambda _: [], name="sse", abilities=Abilities(embed=embed))
    async with (
        asyncio.timeout(30),
        served(tmp_path, lambda _: [], sse=model) as gateway,
        asyncio.TaskGroup() as tasks,
    ):
        asked = tasks.create_task(gateway.http.post(OPENAI, json={"input": "four"}))
        await begun.wait()
        drained = asyncio.ensure_future(gateway.assembled.drain(asyncio.Event()))
        refused = await gateway.http.post(OPENAI, json={"input": "four"})
        assert not drained.done()
        held.set()
        assert (await asked).status_code == 200
        await drained
    assert refused.status_code == 503


async def test_a_second_signal_does_not_wait_for_a_request(tmp_path: Path) -> None:
    begun, hurry = asyncio.Event(), asyncio.Event()

    async def embed(request: EmbedRequest) -> Embeddings:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    model = ScriptedTransport(lambda _: [], name="sse", abilities=Abilities(embed=embed))
    async with asyncio.timeout(30), served(tmp_path, lambda _: [], sse=model) as gateway:
        asking = asyncio.ensure_future(gateway.http.post(OPENAI, json={"input": "four"}))
        await begun.wait()
        hurry.set()
        await gateway.assembled.drain(hurry)
        asking.cancel()
