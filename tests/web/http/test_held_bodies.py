"""Large bodies count from their arrival until their requests are answered: together they fit in memory."""

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from gateway.contract.errors import GatewayError, LimitExceeded, Overloaded
from gateway.contract.events import Delta
from gateway.web.http.body_limits import PLACELESS_BYTES
from gateway.web.http.held_bodies import HeldBodies
from tests.live.looking import look_again
from tests.web.gateway_server import STREAM, Served, served
from tests.web.http.test_body_places import ATTACHMENTS, LARGE, SESSIONS, json_of
from tests.web.key_holders import make_key
from transports.scripted import tokens

QUESTION = json.dumps({"content": "Hello", "x": "x" * 4 * PLACELESS_BYTES}).encode()


@pytest.mark.parametrize(
    ("user", "error", "status"), [("anna", LimitExceeded, 429), ("ben", Overloaded, 503)]
)
async def test_a_body_that_does_not_fit_is_refused_with_the_time_to_come_again(
    user: str, error: type[GatewayError], status: int
) -> None:
    bodies = HeldBodies(user_bytes=80, all_bytes=100)
    await bodies.take("anna", 60, 1)
    with pytest.raises(error) as refused:
        await bodies.take(user, 41, 0)
    assert (refused.value.status, refused.value.retry_after_s, bodies.total) == (status, 2, 60)


async def test_a_body_waits_until_it_fits_and_one_alone_always_fits() -> None:
    bodies = HeldBodies(user_bytes=80, all_bytes=100)
    first = await bodies.take("anna", 500, 1)
    waiting = [asyncio.create_task(bodies.take(user, 30, 30)) for user in ("anna", "ben", "cleo")]
    await asyncio.sleep(0)
    first.shrink(60)
    assert await waiting[1]
    assert not waiting[0].done()
    waiting[2].cancel()
    await asyncio.wait({waiting[2]})
    first.leave()
    first.leave()
    assert await waiting[0]
    assert bodies.total == 60


async def wait_for(gateway: Served, total: int) -> None:
    while gateway.assembled.gateway.held_bodies.total != total:
        await look_again()


async def test_a_question_counts_until_its_stream_ends(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [[Delta("Hello")]]) as gateway, asyncio.timeout(60):
        key = json_of(await make_key(gateway, "anna"))
        async with gateway.http.stream("POST", STREAM, content=QUESTION, headers=key) as stream:
            assert stream.status_code == 200
            await wait_for(gateway, len(QUESTION))
        await wait_for(gateway, 0)


@pytest.mark.parametrize("path", [STREAM, SESSIONS, ATTACHMENTS, "/v1/chat/completions", "/nowhere"])
async def test_no_request_leaves_anything(tmp_path: Path, path: str) -> None:
    async with served(tmp_path, lambda _: tokens("Hi")) as gateway, asyncio.timeout(60):
        headers = json_of(await make_key(gateway, "anna"))
        for body in (QUESTION, LARGE):
            await gateway.http.post(path, content=body, headers=headers)
        body = gzip.compress(QUESTION)
        await gateway.http.post(path, content=body, headers=headers | {"content-encoding": "gzip"})
        await wait_for(gateway, 0)


async def test_a_refusal_is_an_answer_of_the_endpoint(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hi"), body_timeout_s=0.01) as gateway:
        headers = json_of(await make_key(gateway, "anna"))
        held = await gateway.assembled.gateway.held_bodies.take("ben", 2**62, 1)
        answer = await gateway.http.post(STREAM, content=QUESTION, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert answer.headers["retry-after"] == "2"
        held.leave()
        assert (await gateway.http.post(STREAM, content=QUESTION, headers=headers)).status_code == 200
