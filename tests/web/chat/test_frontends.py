"""Frontends with habits of their own show the text that the database holds."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.contract.errors import Unreachable
from gateway.contract.events import Delta
from tests.web.frontends import AWKWARD, FRONTENDS, PIECES, Frontend
from tests.web.gateway_server import Served, served
from transports.scripted import Step, tokens, whole

frontends = pytest.mark.parametrize("frontend", FRONTENDS, ids=lambda frontend: frontend.name)


async def reads(gateway: Served, frontend: Frontend) -> Sequence[bytes]:
    """Ask as this frontend does, and give what its `fetch` hands out, read by read."""
    request = gateway.http.stream("POST", frontend.path, json=frontend.request("Hi"))
    async with request as response:
        assert response.status_code == 200, await response.aread()
        return [read async for read in response.aiter_raw()]


@frontends
@pytest.mark.parametrize(
    "steps", [tokens(*PIECES), whole(AWKWARD * 3)], ids=["token by token", "in one piece"]
)
async def test_it_shows_what_the_database_holds(
    tmp_path: Path, frontend: Frontend, steps: list[Step]
) -> None:
    async with served(tmp_path, lambda _: steps, word_delay_s=0.001, chunk_delay_s=0.001) as gateway:
        screen = frontend.show(await reads(gateway, frontend))
        question, reply = await gateway.messages()
    assert question["content"] == "Hi"
    assert screen.text == reply["content"] != ""
    assert (screen.error, screen.finished) == (None, frontend.tells_end)


@frontends
@pytest.mark.parametrize("said", ["", "Hel"])
async def test_it_shows_an_error_and_what_came_before_it(
    tmp_path: Path, frontend: Frontend, said: str
) -> None:
    steps: list[Step] = [*([[Delta(said)]] if said else []), Unreachable("It is away.")]
    async with served(tmp_path, lambda _: steps) as gateway:
        screen = frontend.show(await reads(gateway, frontend))
        reply = (await gateway.messages())[1]
    assert reply["content"] == said
    if screen.error is None:
        assert screen.text == said + "Error: It is away."
    else:
        assert (screen.text, screen.error) == (said, "It is away.")


@frontends
async def test_a_stop_elsewhere_ends_it_with_what_was_said(tmp_path: Path, frontend: Frontend) -> None:
    async with served(tmp_path, lambda _: [[Delta("on and on ")]]) as gateway:
        request = gateway.http.stream("POST", frontend.path, json=frontend.request("Hi"))
        async with request as response:
            told = response.aiter_raw()
            seen = [await anext(told)]
            while b"on and on" not in seen[-1]:
                seen.append(await anext(told))
            stream_id = response.headers["sluice-stream-id"]
            stopped = await gateway.http.post(f"/messages/stream/{stream_id}/stop")
            seen += [read async for read in told]
        reply = (await gateway.messages())[1]
    screen = frontend.show(seen)
    assert stopped.json()["reason"] == reply["reason"] == "user_stop"
    assert (screen.text, screen.error) == (reply["content"], None)
    assert screen.finished == frontend.tells_end


@frontends
async def test_its_stop_button_is_closing_the_connection(tmp_path: Path, frontend: Frontend) -> None:
    async with served(tmp_path, lambda _: [[Delta("on and on ")]]) as gateway:
        request = gateway.http.stream("POST", frontend.path, json=frontend.request("Hi"))
        async with request as response:
            told = response.aiter_raw()
            while b"on and on" not in await anext(told):
                pass
        await gateway.transport.idle()
        stream_id = response.headers["sluice-stream-id"]
        stopped = await gateway.http.post(f"/messages/stream/{stream_id}/stop")
        reply = (await gateway.messages())[1]
    assert stopped.json()["reason"] == "abandoned"
    assert (reply["status"], reply["content"]) == ("cancelled", "on and on ")
