"""`sluice chat` against a gateway on a real socket: it streams, and Ctrl-C stops the reply."""

import asyncio
import signal
from pathlib import Path

from gateway.contract.events import Delta
from tests.live.programs import running_program, sluice
from tests.web.gateway_server import served
from tests.web.key_holders import make_key
from transports.scripted import tokens


async def test_it_prints_the_reply_as_it_comes(tmp_path: Path) -> None:
    held = asyncio.Event()
    script = [[Delta("first ")], held.wait, *tokens("second", " line")]
    async with served(tmp_path, lambda _: script) as gateway:
        async with running_program(*sluice("chat", "--url", gateway.url, "Hi", "there")) as chat:
            assert chat.process.stdout is not None
            first = await chat.process.stdout.readexactly(6)
            held.set()
            code = await chat.ended()
        (question, reply) = await gateway.messages()
    assert (code, question["content"]) == (0, "Hi there")
    assert (first.decode() + chat.said).startswith(reply["content"])


async def test_ctrl_c_stops_the_reply_and_keeps_what_was_said(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [[Delta("on and on ")]]) as gateway:
        async with running_program(*sluice("chat", "--url", gateway.url, "Hi")) as chat:
            assert chat.process.stdout is not None
            await chat.process.stdout.readexactly(10)
            code = await chat.end(signal.SIGINT)
        await gateway.transport.idle()
        reply = (await gateway.messages())[1]
    assert code == 1
    assert "stopped" in chat.said
    assert (reply["content"], reply["status"]) == ("on and on ", "cancelled")


async def test_it_comes_in_with_a_key(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        key = await make_key(gateway, "anna")
        command = sluice("chat", "--url", gateway.url, "Hi")
        async with running_program(*command, SLUICE_API_KEY=key) as let_in:
            assert (await let_in.ended(), let_in.said[:5]) == (0, "Hello")
        async with running_program(*command) as refused:
            assert (await refused.ended(), "unauthorized" in refused.said) == (1, True)


async def test_a_gateway_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(10),
        running_program(*sluice("chat", "--url", "http://127.0.0.1:9", "Hi")) as chat,
    ):
        assert await chat.ended() == 1
    assert "does not answer" in chat.said
    assert "Traceback" not in chat.said
