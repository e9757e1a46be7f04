"""The OpenAPI description is valid and complete, and real responses match it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from gateway.assembly import assemble
from gateway.contract.errors import NoWorker
from gateway.dialects.registry import DIALECTS, LAM
from gateway.settings import Settings
from gateway.web.app import api_of
from gateway.web.description.examples import session_events_example
from gateway.web.description.streams import EVENTS, stream_of
from gateway.web.endpoints.table import ENDPOINTS
from tests.dialects.replies import FOLDER
from tests.web.gateway_server import served
from transports.scripted import ScriptedTransport, tokens


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    transports = {"sse": ScriptedTransport(lambda _: [], name="sse")}
    gateway = assemble(Settings(_env_file=None, llm_comm_mode="sse"), transports).gateway
    document: dict[str, Any] = json.loads(json.dumps(api_of(gateway).openapi()))
    return document


def operations_of(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_it_is_valid(described: dict[str, Any]) -> None:
    validate(described)


def test_every_endpoint_is_described_and_nothing_else(described: dict[str, Any]) -> None:
    over_http = [endpoint for endpoint in ENDPOINTS if endpoint.method != "WEBSOCKET"]
    table = [(endpoint.method, endpoint.path.replace(":path}", "}")) for endpoint in over_http]
    assert sorted((method, path) for method, path, _ in operations_of(described)) == sorted(table)
    for method, path, operation in operations_of(described):
        assert operation["summary"], (method, path)
        assert operation["description"], (method, path)


def test_every_operation_has_a_name_of_its_own_that_is_a_word(described: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations_of(described)]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9_]*", name)] == []


def test_every_answer_that_is_json_has_a_schema(described: dict[str, Any]) -> None:
    for method, path, operation in operations_of(described):
        for status, response in operation["responses"].items():
            for media_type, content in response.get("content", {}).items():
                assert content["schema"], (method, path, status, media_type)
                assert content["schema"] != {"type": "object"}, (method, path, status, media_type)


SHAPES = {
    "/v1/messages": "Anthropic",
    "/v1/": "OpenAI",
    "/api/v1/inference/": "OpenAI",
    **{
        f"/api/{name}/": "Ollama"
        for name in ("generate", "tags", "ps", "show", "version", "embed", "embeddings")
    },
}


def test_every_error_is_a_problem_or_in_the_shape_of_its_api(described: dict[str, Any]) -> None:
    for method, path, operation in operations_of(described):
        for status, response in operation["responses"].items():
            if status < "400" or (path, status) == ("/ready", "503"):
                continue
            name = response["$ref"].rpartition("/")[2]
            shape = (
                "ApiChat"
                if path == "/api/chat"
                else next((shape for start, shape in SHAPES.items() if f"{path}/".startswith(start)), None)
            )
            assert shape is None or name.startswith(shape), (method, path, status)
            content = set(described["components"]["responses"][name]["content"])
            if name.startswith("PlainText"):
                assert content == {"text/plain"}
                continue
            if name.startswith("Stream"):
                content -= {"text/event-stream", "application/x-ndjson", "text/plain"}
            if name.startswith("ApiChat"):
                content.remove("text/plain")
            assert content == {"application/json" if shape else "application/problem+json"}


def test_whoever_needs_a_key_is_told_so(described: dict[str, Any]) -> None:
    public = {path for _, path, operation in operations_of(described) if operation["security"] == []}
    assert public == {
        "/health",
        "/ready",
        "/",
        "/docs",
        "/docs/{asset}",
        "/openapi.json",
        "/api/version",
        "/page/{version}/{path}",
    }


def test_examples_fit_their_schemas(described: dict[str, Any]) -> None:
    for response in described["components"]["responses"].values():
        for content in response["content"].values():
            if "example" in content:
                validator_of(described, content["schema"]).validate(content["example"])


@pytest.mark.parametrize("dialect", EVENTS)
def test_what_every_dialect_tells_is_as_described(described: dict[str, Any], dialect: str) -> None:
    validator = validator_of(described, {"$ref": f"#/components/schemas/{EVENTS[dialect].__name__}"})
    errors = validator_of(described, {"$ref": "#/components/schemas/OpenAIError"})
    for transcript in sorted((FOLDER / dialect).iterdir()):
        for told in data_of(transcript.read_text(encoding="utf-8")):
            (errors if dialect in ("openai", "completions") and "error" in told else validator).validate(told)


def test_what_lam_refuses_is_as_described(described: dict[str, Any]) -> None:
    validator = validator_of(described, {"$ref": "#/components/schemas/LamRefusal"})
    for told in data_of(LAM.refusal(NoWorker("No worker is ready.")).decode()):
        validator.validate(told)


def test_what_a_sessions_events_tell_is_as_described(described: dict[str, Any]) -> None:
    validator = validator_of(described, {"$ref": "#/components/schemas/SessionEvent"})
    for told in data_of(session_events_example()):
        validator.validate(told)


@pytest.mark.parametrize(
    ("name", "rubbish"),
    [
        ("LamEvent", {"type": "chunk"}),
        ("LamEvent", {"type": "shout", "content": "x"}),
        ("LunarEvent", {"type": "error"}),
        ("PrinterEvent", {"text": "x"}),
        ("WordsEvent", {"text": "x"}),
        ("ChatCompletionChunk", {"id": "x"}),
    ],
)
def test_a_schema_that_fits_everything_would_say_nothing(
    described: dict[str, Any], name: str, rubbish: dict[str, str]
) -> None:
    validator = validator_of(described, {"$ref": f"#/components/schemas/{name}"})
    assert not validator.is_valid(rubbish)


async def test_a_turn_is_accepted_if_it_is_as_described(described: dict[str, Any], tmp_path: Path) -> None:
    validator = validator_of(described, {"$ref": "#/components/schemas/CompletionBody"})
    contents: list[dict[str, Any]] = [
        {"content": said} for said in ([], [{"type": "text", "text": "x"}], "", None)
    ]
    verdicts: list[tuple[Any, bool, bool]] = []
    async with served(tmp_path, lambda _: tokens("Hi")) as gateway:
        for role in ("system", "developer", "user", "assistant", "tool"):
            for content in [*contents, {}]:
                turn = {"role": role, **content}
                body = {"messages": [turn, {"role": "user", "content": "x"}]}
                answered = await gateway.http.post("/v1/chat/completions", json=body)
                verdicts.append((turn, validator.is_valid(body), answered.status_code == 200))
    assert [verdict for verdict in verdicts if verdict[1] != verdict[2]] == []


def validator_of(described: dict[str, Any], schema: dict[str, Any]) -> OAS31Validator:
    return OAS31Validator({**schema, "components": described["components"]})


def data_of(stream: str) -> Iterator[Any]:
    """Return the values of all `data:` lines that are JSON."""
    for line in stream.split("\n"):
        if line.startswith("data: ") and line != "data: [DONE]":
            yield json.loads(line.removeprefix("data: "))


def test_a_stream_describes_the_media_type_of_every_dialect() -> None:
    told = stream_of(LAM)["content"]
    assert {dialect.media_type.partition(";")[0] for dialect in DIALECTS.values()} <= set(told)
