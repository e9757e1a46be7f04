"""The `sse` transport and the embedded server against the real llama.cpp."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from base64 import b64encode
from pathlib import Path

import pytest

from gateway.contract.content import File, Image, Text
from gateway.contract.errors import ModelRefused, Unreachable, UnsupportedContent, UpstreamFailed
from gateway.contract.events import Delta, Done, Progress, Reasoning, ToolCall, TransportEvent, Usage
from gateway.contract.record import replace
from gateway.contract.requests import Turn
from gateway.contract.transport import Health
from tests.live.llama_server import (
    LlamaServer,
    asking,
    endlessly,
    exactly,
    random_model,
    requires_llama,
    running_llama,
)
from tests.live.looking import look_again
from tests.reading import events_of, reading
from tests.web.gateway_server import STREAM, served
from transports.llama.embedded_server import llama_process, llama_server, tiny_model_path
from transports.llama.transport import LlamaTransport

pytestmark = [pytest.mark.live, requires_llama()]

ROOT = Path(__file__).parents[2]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def text_of(events: list[TransportEvent | Done]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


async def becomes_idle(server: LlamaServer) -> None:
    while await server.busy_slots():
        await look_again()


async def test_the_model_that_comes_along_answers_token_by_token() -> None:
    async with asyncio.timeout(120), llama_server(tiny_model_path()) as url:
        transport = LlamaTransport(url)
        assert await transport.health() == Health(True, "the model server is ready")
        assert list(transport.models()) == ["tiny"]
        assert await transport.total_slots() == 4
        assert transport.abilities.context()
        events = await events_of(transport, asking("Tell me about the boat.", temperature=0))
    *_, usage, done = events
    assert isinstance(events[0], Progress)
    assert "boat" in text_of(events)
    assert [type(event) for event in events].count(Delta) > 5
    assert isinstance(usage, Usage)
    assert usage.completion_tokens > 5
    assert usage.tokens_per_s is not None
    assert done == Done("stop", "tiny")


async def test_thinking_and_answer_are_told_apart() -> None:
    async with asyncio.timeout(120), llama_server(tiny_model_path()) as url:
        events = await events_of(LlamaTransport(url), asking("Think about the lamp.", temperature=0))
    thoughts = "".join(event.text for event in events if isinstance(event, Reasoning))
    assert "The user asks about the lamp" in thoughts
    assert "lamp" in text_of(events)
    assert "think>" not in text_of(events)


async def test_a_tool_is_called_once_and_whole() -> None:
    question = asking("What is the weather in Oslo?", temperature=0, tools=[WEATHER])
    async with asyncio.timeout(120), llama_server(tiny_model_path()) as url:
        events = await events_of(LlamaTransport(url), question)
    [call] = [event for event in events if isinstance(event, ToolCall)]
    assert (call.name, call.arguments) == ("get_weather", '{"city": "Oslo"}')
    assert text_of(events) == ""
    assert events[-1] == Done("tool_calls", "tiny")


async def test_a_limit_ends_a_reply_as_length() -> None:
    question = asking("go on", max_tokens=5, options={"ignore_eos": True})
    async with asyncio.timeout(120), running_llama(random_model()) as server:
        events = await events_of(LlamaTransport(server.url), question)
    assert events[-1] == Done("length", "tiny")


async def test_twenty_at_once_never_mix() -> None:
    texts = [f"reply {number} says " + f"{number} " * number + "and é 🙂" for number in range(20)]
    async with asyncio.timeout(120), running_llama(random_model(), "--parallel", "4") as server:
        transport = LlamaTransport(server.url)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(events_of(transport, exactly(text))) for text in texts]
    assert [text_of(task.result()) for task in tasks] == texts


async def test_a_stop_in_mid_reply_frees_the_slot() -> None:
    async with asyncio.timeout(120), running_llama(random_model(), "--ctx-per-slot", "32768") as server:
        async with reading(LlamaTransport(server.url), endlessly()) as batches:
            assert len(await anext(batches)) > 0
            assert await server.busy_slots() == 1
        await becomes_idle(server)


async def test_what_was_stopped_while_queued_is_not_answered_when_its_turn_comes() -> None:
    """llama.cpp keeps it queued until a slot is free, and only then notices that nobody is there."""
    arguments = ("--parallel", "1", "--ctx-per-slot", "32768")
    async with asyncio.timeout(120), running_llama(random_model(), *arguments) as server:
        transport = LlamaTransport(server.url)
        async with reading(transport, endlessly()) as batches:
            await anext(batches)
            queued = asyncio.ensure_future(events_of(transport, endlessly()))
            while await server.figure("requests_deferred") == 0:
                await look_again()
            queued.cancel()
            with pytest.raises(asyncio.CancelledError):
                await queued
            assert await server.busy_slots() == 1  # the first goes on
        assert text_of(await events_of(transport, exactly("next"))) == "next"
        await becomes_idle(server)


async def test_a_server_killed_in_mid_reply_has_failed_and_serves_again_when_it_is_back() -> None:
    async with asyncio.timeout(120), running_llama(random_model(), "--ctx-per-slot", "32768") as server:
        transport = LlamaTransport(server.url)
        async with reading(transport, endlessly()) as batches:
            await anext(batches)
            await server.kill()
            with pytest.raises(UpstreamFailed):
                async for _ in batches:
                    pass
        with pytest.raises(Unreachable):
            await events_of(transport, exactly("away"))
        assert not (await transport.health()).ok
        await server.start()
        assert text_of(await events_of(transport, exactly("back"))) == "back"


async def test_a_wrong_key_is_the_gateways_fault_and_the_right_one_works() -> None:
    async with asyncio.timeout(120), llama_server(random_model(), api_key="secret") as url:
        for wrong in (None, "other"):
            with pytest.raises(UpstreamFailed, match="API key"):
                await events_of(LlamaTransport(url, api_key=wrong), exactly("no"))
        right = LlamaTransport(url, api_key="secret")
        assert text_of(await events_of(right, exactly("yes"))) == "yes"


async def test_a_question_beyond_the_context_is_refused_in_the_servers_words() -> None:
    async with asyncio.timeout(120), llama_server(random_model(), ctx_per_slot=512) as url:
        with pytest.raises(ModelRefused, match=r"context size \(512 tokens\)"):
            await events_of(LlamaTransport(url), asking("word " * 2000))


async def test_what_is_no_model_is_refused_with_the_servers_own_words(tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.gguf"
    nonsense.write_bytes(b"nonsense")
    async with asyncio.timeout(120):
        with pytest.raises(RuntimeError, match=r"(?s)did not start: .*nonsense\.gguf"):
            async with llama_server(nonsense):
                pass


async def test_the_server_ends_with_its_block() -> None:
    async with asyncio.timeout(120):
        async with llama_server(random_model()) as url:
            pass
        assert not (await LlamaTransport(url).health()).ok


async def test_a_server_that_died_by_itself_is_no_trouble_at_the_end() -> None:
    async with asyncio.timeout(120), llama_process(random_model(), 0) as process:
        process.kill()
        await process.gone()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_program_ends_by_a_signal_without_complaint(number: signal.Signals) -> None:
    command = (sys.executable, "-m", "transports.llama.server_program", str(random_model()), "0")
    async with asyncio.timeout(120):
        server = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=PIPE)
        assert server.stdout is not None
        assert (await server.stdout.readline()).startswith(b"READY http://127.0.0.1:")
        server.send_signal(number)
        _, errors = await server.communicate()
    assert server.returncode == 0
    assert b"Traceback" not in errors


PARENT = """
import asyncio, sys
from pathlib import Path
from transports.llama.embedded_server import llama_server

async def main():
    async with llama_server(Path(sys.argv[1])) as url:
        print(url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_no_server_outlives_a_parent_that_was_killed() -> None:
    command = (sys.executable, "-c", PARENT, str(random_model()))
    async with asyncio.timeout(120):
        parent = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE)
        assert parent.stdout is not None
        url = (await parent.stdout.readline()).decode().strip()
        port = int(url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        parent.kill()
        await parent.wait()
        assert await reader.read() == b""  # its last connection ends when the server does
        writer.close()
        assert not (await LlamaTransport(url).health()).ok


async def test_a_model_without_eyes_says_so_and_gets_no_image() -> None:
    image = Image("image/png", b64encode(b"\x89PNG\r\n\x1a\n").decode())
    asked = replace(asking("x"), turns=[Turn("user", (Text("This?"), image))])
    async with asyncio.timeout(120), llama_server(tiny_model_path()) as url:
        transport = LlamaTransport(url)
        with pytest.raises(UnsupportedContent, match="This model accepts no images"):
            await events_of(transport, asked)  # nothing was known of the server before
        with pytest.raises(UnsupportedContent, match="This model accepts no images"):
            transport.abilities.check(asked)
        with pytest.raises(UnsupportedContent):
            await events_of(transport, asked)
        file = File("a.txt", "text/plain", b64encode(b"Tell me about the boat.").decode())
        events = await events_of(transport, replace(asked, turns=[Turn("user", (file,))]))
    assert text_of(events)


async def test_through_the_gateway_a_model_without_eyes_reads_files_and_gets_no_image(tmp_path: Path) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}
    boat = "data:text/plain;base64," + b64encode(b"Tell me about the boat.").decode()
    file = {"type": "file", "file": {"file_data": boat, "filename": "boat.txt"}}
    async with asyncio.timeout(120), llama_server(tiny_model_path()) as url:
        transport = LlamaTransport(url)
        await transport.total_slots()
        async with served(tmp_path, lambda _: [], sse=transport) as gateway:
            refused = await gateway.http.post(STREAM, json={"content": [image]})
            kept = (await gateway.http.get("/api/chatbot/sessions")).json()
            events = await gateway.events({"content": [file], "max_tokens": 8})
    assert (refused.status_code, refused.json()["code"], kept) == (422, "unsupported_content", [])
    assert events[-1]["full_content"]
