"""The ids of requests in responses of model APIs."""

from pathlib import Path

import pytest

from tests.web.gateway_server import served
from tests.web.key_holders import bearer, make_key
from transports.scripted import tokens

ASKING = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}


@pytest.mark.parametrize(
    ("path", "name", "other"),
    [
        ("/v1/chat/completions", "x-request-id", "request-id"),
        ("/v1/messages", "request-id", "x-request-id"),
    ],
)
async def test_each_response_has_an_id(tmp_path: Path, path: str, name: str, other: str) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        key = bearer(await make_key(gateway, "anna"))
        answers = [
            await gateway.http.post(path, json=ASKING, headers=key),
            await gateway.http.post(path, json={**ASKING, "stream": True}, headers=key),
            await gateway.http.post(path, json={}, headers=key),
            await gateway.http.post(path, json=ASKING, headers=bearer("sk-no")),
            await gateway.http.get(path, headers=key),
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 400, 401, 405]
    assert len({answer.headers[name] for answer in answers}) == len(answers)
    assert not any(other in answer.headers for answer in answers)


async def test_an_id_of_a_proxy_is_told_and_logged_if_it_is_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "sluice.access")
    given = ["r-17", "x" * 101, "a b", "\xe4"]
    async with served(tmp_path, lambda _: tokens("x"), log_access=True) as gateway:
        answers = [
            await gateway.http.get("/v1/models", headers={b"x-request-id": id.encode("latin-1")})
            for id in given
        ]
        health = await gateway.http.get("/health", headers={"x-request-id": "r-18"})
    told = [answer.headers["x-request-id"] for answer in answers]
    assert told[0] == "r-17"
    assert all(id.startswith("req_") for id in told[1:])
    lines = [record.fields["request"] for record in caplog.records if record.name == "sluice.access"]  # type: ignore[attr-defined]
    assert lines == [*told, "r-18"]
    assert "x-request-id" not in health.headers
