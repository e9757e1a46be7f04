"""Requests that would crash or stall a model server get a 4xx that names the field, and store nothing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.web.gateway_server import Served, served
from transports.scripted import tokens

GRAMMAR = "root ::= " + "(" * 30_000 + '"a"' + ")" * 30_000
SCHEMA = {"type": "string", "minLength": 50, "maxLength": 3}
FORMAT = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
ASKED = {"content": "x"}
ASKED_OPENAI = {"messages": [{"role": "user", "content": "x"}]}


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with served(tmp_path_factory.mktemp("gateway"), lambda _: tokens("x"), within_s=600) as gateway:
        yield gateway


@pytest.mark.parametrize("path", ["/messages/stream", "/api/chatbot/messages", "/api/chatbot/templates"])
@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("options.grammar", {"options": {"grammar": GRAMMAR}}),
        ("options.json_schema", {"options": {"json_schema": SCHEMA}}),
        ("options.n", {"options": {"n": 4}}),
        ("response_format", {"response_format": FORMAT}),
        ("tools", {"tools": [TOOL]}),
        ("stop", {"stop": ["x"] * 100}),
    ],
)
async def test_the_field_is_named(gateway: Served, path: str, field: str, settings: dict[str, Any]) -> None:
    before = (await gateway.http.get("/api/chatbot/sessions")).json()
    named = {"name": "n"} if path.endswith("templates") else ASKED
    response = await gateway.http.post(
        path, json={**named, **settings}, headers={"accept": "application/json"}
    )
    assert response.status_code == 422
    assert field in response.text
    assert len(response.content) < 2_000
    assert (await gateway.http.get("/api/chatbot/sessions")).json() == before


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/v1/inference/stream"])
@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("grammar", {"grammar": GRAMMAR}),
        ("json_schema", {"json_schema": SCHEMA}),
        ("response_format", {"response_format": FORMAT}),
        ("tools", {"tools": [TOOL]}),
        ("stop", {"stop": ["x"] * 100}),
    ],
)
async def test_the_openai_dialect_names_it_too(
    gateway: Served, path: str, stream: bool, field: str, settings: dict[str, Any]
) -> None:
    response = await gateway.http.post(path, json={**ASKED_OPENAI, "stream": stream, **settings})
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", field)
