"""Requests of one API at the endpoint of another: the error is the endpoint's own, and names the field."""

from pathlib import Path
from typing import Any

import pytest

from tests.web.chat.test_mutated_requests import REQUESTS, SHAPES
from tests.web.embedding_model import embedding_model
from tests.web.gateway_server import served
from transports.scripted import tokens

HI = [{"role": "user", "content": "Hi"}]


async def test_each_endpoint_refuses_other_apis_requests_in_its_own_shape(tmp_path: Path) -> None:
    refused = 0
    model = embedding_model(lambda _: tokens("x"))
    async with served(tmp_path, lambda _: [], sse=model, rate_per_minute=1_000_000) as gateway:
        for api, (path, own) in REQUESTS.items():
            for other, (_, body) in REQUESTS.items():
                response = await gateway.http.post(path, json=body)
                case = (api, other, response.status_code, response.text[:500])
                assert response.status_code < 500, case
                if response.status_code >= 400:
                    refused += 1
                    assert SHAPES[api](response), case
                    assert any(field in response.text for field in own), case
    assert refused > len(REQUESTS)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"id": "c", "trigger": "submit-message", "messages": HI}, "messages.0.parts"),
        ({"id": "c", "messages": HI}, "messages.0.parts"),
        ({"id": "c", "trigger": "submit-message", "messages": "Hi"}, "messages"),
        ({"id": "c", "trigger": "submit-message", "model": "tiny"}, "messages"),
        ({"id": "c", "trigger": "submit-message", "messages": [{"parts": 7}]}, "messages.0.parts"),
        ({"id": 7, "trigger": "submit-message", "messages": HI}, "id"),
    ],
)
async def test_a_page_that_lacks_a_field_is_shown_its_name(
    tmp_path: Path, body: dict[str, Any], field: str
) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        response = await gateway.http.post("/api/chat", json=body)
    assert response.status_code == 422
    assert response.headers["content-type"].startswith("text/plain")
    assert f"{field}: " in response.text


@pytest.mark.parametrize(
    "body", [{"model": "tiny", "messages": "Hi"}, {"id": "c", "model": "tiny", "messages": "Hi"}]
)
async def test_ollamas_clients_get_ollamas_error(tmp_path: Path, body: dict[str, Any]) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        response = await gateway.http.post("/api/chat", json=body)
    assert response.status_code == 400
    assert response.json()["error"].startswith("The request does not fit: messages: ")


async def test_a_field_with_several_types_has_one_name(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: []) as gateway:
        response = await gateway.http.post("/v1/responses", json={"input": [7]})
    error = response.json()["error"]
    assert error["param"] == "input"
    assert error["message"] == (
        "The request does not fit: input: Input should be a valid string; input.0: Input should be an object."
    )
