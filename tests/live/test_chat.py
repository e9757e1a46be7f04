"""`sluice chat` against a gateway on a real socket: it streams, and Ctrl-C stops the reply."""

import asyncio
import signal
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.contract.errors import TimedOut
from gateway.contract.events import Delta
from gateway.contract.requests import ChatRequest
from tests.live.nursery import forked_sluice
from tests.web.gateway_server import served
from tests.web.key_holders import make_key
from transports.scripted import Step, tokens


async def test_it_prints_the_reply_as_it_comes(tmp_path: Path) -> None:
    held = asyncio.Event()
    script = [[Delta("first ")], held.wait, *tokens("second", " line")]
    async with served(tmp_path, lambda _: script) as gateway:
        async with forked_sluice("chat", "--url", gateway.url, "Hi", "there") as chat:
            assert chat.process.stdout is not None
            first = await chat.process.stdout.readexactly(6)
            held.set()
            code = await chat.ended()
        (question, reply) = await gateway.messages()
    assert (code, question["content"]) == (0, "Hi there")
    assert (first.decode() + chat.said).startswith(reply["content"])


async def test_ctrl_c_stops_the_reply_and_keeps_what_was_said(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [[Delta("on and on ")]]) as gateway:
        async with forked_sluice("chat", "--url", gateway.url, "Hi") as chat:
            assert chat.process.stdout is not None
            await chat.process.stdout.readexactly(10)
            code = await chat.end(signal.SIGINT)
        await gateway.transport.idle()
        reply = (await gateway.messages())[1]
    assert code == 1
    assert "stopped" in chat.said
    assert (reply["content"], reply["status"], reply["reason"]) == ("on and on ", "cancelled", "user_stop")


async def test_after_ctrl_c_the_next_question_goes_on_in_the_session_and_a_second_one_leaves(
    tmp_path: Path,
) -> None:
    def script(request: ChatRequest) -> list[Step]:
        return [[Delta("on and on ")]] if request.turns[-1].content == "one" else tokens("the end")

    async with asyncio.timeout(120), served(tmp_path, script) as gateway:
        async with forked_sluice("chat", "--url", gateway.url) as chat:
            assert chat.process.stdin is not None
            chat.process.stdin.write(b"one\n")
            await chat.until_said("on and on ", by_line=False)
            chat.process.send_signal(signal.SIGINT)
            await chat.until_said(r"stopped\n")
            await chat.until_said(r"sluice chat --url \S+ --session 1\)")
            chat.process.stdin.write(b"two\n")
            # Wait for the prompt: then no reply is left to stop.
            await chat.until_said(r"the end[\s\S]*\n> ", by_line=False)
            code = await chat.end(signal.SIGINT)
        messages = await gateway.messages()
    assert code == 0
    assert "Traceback" not in chat.said
    assert [message["content"] for message in messages] == ["one", "on and on ", "two", "the end"]
    assert [message["reason"] for message in messages if message["role"] == "assistant"] == [
        "user_stop",
        "stop",
    ]


async def test_a_session_goes_on_and_another_model_can_be_asked(tmp_path: Path) -> None:
    async with asyncio.timeout(120), served(tmp_path, lambda _: tokens("Hello")) as gateway:
        chat = ("chat", "--url", gateway.url)
        async with forked_sluice(*chat, "one") as first:
            assert await first.ended() == 0
        async with forked_sluice(*chat, "--session", "1", "--model", "small", "two") as second:
            assert await second.ended() == 0
        messages = await gateway.messages()
    assert f"session 1 (later: sluice chat --url {gateway.url} --session 1)" in first.said
    assert [message["content"] for message in messages] == ["one", "Hello", "two", "Hello"]
    assert [request.model for request in gateway.transport.seen_requests] == [None, "small"]


async def test_without_an_address_it_asks_the_gateway_of_the_settings(tmp_path: Path) -> None:
    """As every other command does. The session may be named by its key, as the page and rooms show it."""
    async with asyncio.timeout(120), served(tmp_path, lambda _: tokens("Hello")) as gateway:
        port = str(urlsplit(gateway.url).port)
        async with forked_sluice("chat", "one", PORT=port) as first:
            assert await first.ended() == 0
        (session,) = (await gateway.http.get("/api/chatbot/sessions")).json()
        async with forked_sluice("chat", "--session", session["key"], "two", PORT=port) as second:
            assert await second.ended() == 0
        messages = await gateway.messages()
    assert [message["content"] for message in messages] == ["one", "Hello", "two", "Hello"]


@pytest.mark.parametrize(
    ("option", "value"), [("--url", "127.0.0.1:8000"), ("--url", "http://x:abc"), ("--key", "sk-€")]
)
def test_a_wrong_option_is_refused(option: str, value: str) -> None:
    result = CliRunner().invoke(app, ["chat", option, value, "Hi"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"Invalid value for {option}" in result.stderr


async def test_text_of_others_commands_no_terminal(tmp_path: Path) -> None:
    hostile = "a\x1b]0;title\x07b\x1b[2Jc\x9b2J"
    script: list[Step] = [[Delta(f"{hostile} [/b] dé 👩‍👧\n")], TimedOut(f"[/b] {hostile}")]
    async with (
        asyncio.timeout(120),
        served(tmp_path, lambda _: script) as gateway,
        forked_sluice("chat", "--url", gateway.url, "Hi") as chat,
    ):
        assert await chat.ended() == 1
    shown = "a\\x1b]0;title\\x07b\\x1b[2Jc\\x9b2J"
    assert f"{shown} [/b] dé 👩‍👧\n" in chat.said
    assert f"timeout: [/b] {shown}" in chat.said


async def test_a_refusal_is_one_line(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        served(tmp_path, lambda _: tokens("Hello")) as gateway,
        forked_sluice("chat", "--url", gateway.url, "--session", "99", "Hi") as chat,
    ):
        assert await chat.ended() == 1
    assert chat.said.startswith("not_found: ")


async def test_it_comes_in_with_a_key(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        key = await make_key(gateway, "anna")
        command = ("chat", "--url", gateway.url, "Hi")
        async with forked_sluice(*command, SLUICE_API_KEY=key) as let_in:
            assert (await let_in.ended(), let_in.said[:5]) == (0, "Hello")
        async with forked_sluice(*command) as refused:
            assert await refused.ended() == 1
    assert refused.said.startswith("unauthorized: ")
    assert "--key or SLUICE_API_KEY" in " ".join(refused.said.split())


async def test_a_gateway_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        forked_sluice("chat", "--url", "http://127.0.0.1:9", "Hi") as chat,
    ):
        assert await chat.ended() == 1
    assert "does not answer" in chat.said
    assert "Traceback" not in chat.said
