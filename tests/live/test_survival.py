"""The real server process killed, stopped, and left alone by its clients in the middle of replies."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.house import House, gateway_of, until
from tests.live.llama_server import LlamaServer, random_model, requires_llama, running_llama
from tests.live.model_server import model_server
from tests.live.nursery import forked_sluice
from tests.live.test_gateway import running_gateway
from tests.web.event_source import EventSource, kinds
from tests.web.gateway_server import STREAM
from tests.web.raw_reader import RawReader

pytestmark = pytest.mark.live


async def test_after_kill_9_a_reader_gets_the_checkpointed_text_and_an_honest_end(tmp_path: Path) -> None:
    async with asyncio.timeout(120), model_server() as model:
        async with gateway_of(tmp_path, model.url) as house:
            behind = await house.begin(resumable=True)
            stream_id = behind.stream_id
            await behind.close()
            model.say("two ")
            ahead = await house.client.come_back(stream_id, EventSource())
            await ahead.read(lambda: ahead.source.text == "one two ")

            async def kept() -> str:
                return str((await house.messages())[0]["content"])

            await until(kept, "one two ")
            model.say("three ")
            await ahead.read(lambda: ahead.source.text == "one two three ")
            await house.program.end(signal.SIGKILL)
        async with gateway_of(tmp_path, model.url, ADOPT_S="0.1") as house:  # it keeps no streams

            async def ended() -> bool:
                return bool((await house.messages())[0]["status"] == "interrupted")

            await until(ended, True)
            (row,) = await house.messages()
            readers = [
                await house.client.come_back(stream_id, source)
                for source in (EventSource(), behind.source, ahead.source)
            ]
            ahead_before = len(ahead.source.told)
            for reader in readers:
                await reader.read()
            nothing = await house.client.come_back(stream_id, ahead.source)
            await nothing.read()
            await house.program.end(signal.SIGTERM)
    anew, behind, ahead = readers
    assert (row["status"], row["reason"]) == ("interrupted", "interrupted")
    assert row["content"].startswith("one two ")
    assert anew.source.text == behind.source.text == row["content"]
    assert kinds(anew.source.told) == ["metadata", "chunk", "error"]
    assert [event["type"] for event in ahead.source.told[ahead_before:]] == ["error"]
    for reader in readers:
        (end,) = reader.source.ends
        assert (end["reason"], end["full_content"]) == ("interrupted", row["content"])
    assert nothing.status == 204
    assert house.said_no_errors()


STREAMS = 100
LONG_TEXT = [f"{n:09d}\n" * 100 for n in range(6000)]
"""More than the kernel takes for a client that reads nothing."""


async def test_sigterm_under_100_open_streams_loses_none_of_them(tmp_path: Path) -> None:
    async with asyncio.timeout(300), model_server() as model:
        async with gateway_of(tmp_path, model.url, DRAIN_S="10") as house:
            readers = [await house.begin(str(n), resumable=n % 2 == 0) for n in range(STREAMS)]
            house.program.process.send_signal(signal.SIGTERM)
            await house.program.until_said("draining")
            refused = await house.http.post(STREAM, json={"content": "Hi"})
            model.say("two ")
            for reader in readers:
                await reader.read()
            code = await house.program.ended()
            errors = not house.said_no_errors()
        async with gateway_of(tmp_path, model.url) as house:
            rows = await house.messages()
            resumed = [
                await house.client.come_back(reader.stream_id, reader.source) for reader in readers[::2]
            ]
            asked_to_return = [reader.source.retry_ms for reader in readers[::2]]
            silent = [reader.source.ends for reader in readers[::2]]
            for reader in resumed:
                await reader.read()
    assert (code, errors, refused.status_code) == (0, False, 503)
    assert "retry-after" in refused.headers
    assert [(row["status"], row["reason"], row["content"]) for row in rows] == [
        ("interrupted", "shutdown", "one two ")
    ] * STREAMS
    assert all(asked_to_return)
    assert len(set(asked_to_return)) > 1
    assert silent == [[]] * (STREAMS // 2)
    for reader in [*readers[1::2], *resumed]:
        assert reader.source.text == "one two "
        assert [(end["reason"], end["full_content"]) for end in reader.source.ends] == [
            ("shutdown", "one two ")
        ]


async def test_replies_that_end_while_it_drains_are_complete(tmp_path: Path) -> None:
    async with asyncio.timeout(120), model_server() as model, gateway_of(tmp_path, model.url) as house:
        readers = [await house.begin(resumable=resumable) for resumable in (True, False)]
        house.program.process.send_signal(signal.SIGTERM)
        await house.program.until_said("draining")
        model.say("two ")
        model.end()
        for reader in readers:
            await reader.read()
        code = await house.program.ended()
    assert code == 0
    assert house.said_no_errors()
    assert [[end["reason"] for end in reader.source.ends] for reader in readers] == [["stop"], ["stop"]]


async def test_a_second_signal_ends_at_once_with_everything_kept(tmp_path: Path) -> None:
    async with asyncio.timeout(120), model_server() as model:
        async with gateway_of(tmp_path, model.url, DRAIN_S="600") as house:
            readers = [await house.begin(str(n), resumable=n % 2 == 0) for n in range(10)]
            house.program.process.send_signal(signal.SIGTERM)
            await house.program.until_said("draining")
            code = await house.program.end(signal.SIGTERM)
            for reader in readers:
                await reader.read()
        async with gateway_of(tmp_path, model.url) as other:
            rows = await other.messages()
    assert code == 0
    assert house.said_no_errors()
    assert {(row["status"], row["reason"], row["content"]) for row in rows} == {
        ("interrupted", "shutdown", "one ")
    }
    assert [len(reader.source.ends) for reader in readers] == [0, 1] * 5


@pytest.mark.parametrize("ended", [False, True])
async def test_clients_that_take_nothing_do_not_hold_up_the_end(tmp_path: Path, ended: bool) -> None:
    async with asyncio.timeout(120), model_server() as model:
        model.open_with(*LONG_TEXT, end=ended)
        async with gateway_of(tmp_path, model.url, DRAIN_S="0.1") as house:
            blocked = [
                await house.client.ask("Hi", resumable=resumable, receive_buffer_bytes=4096)
                for resumable in (True, False)
            ]
            for reader in blocked:
                await reader.begin()
            if ended:
                await until(house.runs, 0)
            tab = house.http.stream("GET", "/api/chatbot/sessions/1/events")
            await tab.__aenter__()
            code = await house.program.end(signal.SIGTERM)
            await tab.__aexit__(None, None, None)
    assert code == 0
    assert house.said_no_errors(), house.program.said


ENDLESS: dict[str, Any] = {"max_tokens": 32_000, "options": {"ignore_eos": True}}


@asynccontextmanager
async def one_slot() -> AsyncIterator[LlamaServer]:
    async with running_llama(random_model(), "--parallel", "1", "--ctx-per-slot", "32768") as llama:
        yield llama


@requires_llama()
async def test_a_stop_frees_the_slot_and_keeps_what_was_said(tmp_path: Path) -> None:
    async with asyncio.timeout(120), one_slot() as llama, gateway_of(tmp_path, llama.url) as house:
        reader = await house.begin(**ENDLESS)
        path = f"{STREAM}/{reader.stream_id}"
        answers = [await house.http.post(f"{path}/stop"), await house.http.delete(path)]
        await until(llama.busy_slots, 0)
        await reader.read()
        (row,) = await house.messages()
        await house.until_it_holds_nothing()
    (end,) = reader.source.ends
    expected = {"stream_id": reader.stream_id, "status": "cancelled", "reason": "user_stop"}
    assert [answer.json() for answer in answers] == [expected, expected]
    assert (end["type"], end["reason"]) == ("done", "user_stop")
    assert (row["status"], row["reason"]) == ("cancelled", "user_stop")
    assert row["content"] == reader.source.text == end["full_content"] != ""


@requires_llama()
async def test_a_reply_stopped_in_the_queue_never_begins(tmp_path: Path) -> None:
    async with asyncio.timeout(120), one_slot() as llama, gateway_of(tmp_path, llama.url) as house:
        first = await house.begin(**ENDLESS)
        queued = await house.client.ask("wait", **ENDLESS)
        await until(lambda: llama.figure("requests_deferred"), 1)
        await queued.read(lambda: bool(queued.source.told))
        answer = await house.http.post(f"{STREAM}/{queued.stream_id}/stop")
        await queued.read()
        await first.close()
        # llama.cpp sees that a queued client has left only when a slot is free.
        await until(lambda: llama.figure("requests_deferred"), 0)
        await until(llama.busy_slots, 0)
        await house.until_it_holds_nothing()
        (row,) = [row for row in await house.messages() if row["stream_id"] == queued.stream_id]
    assert answer.json()["reason"] == "user_stop"
    assert [event["type"] for event in queued.source.told] == ["metadata", "done"]
    assert (row["status"], row["content"]) == ("cancelled", "")


@requires_llama()
@requires_mosquitto()
async def test_a_stop_reaches_the_worker_behind_the_broker(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_llama(random_model(), "--parallel", "1", "--ctx-per-slot", "32768") as llama,
        running_mosquitto() as broker,
        forked_sluice(
            "worker",
            "--name",
            "w",
            "--llm-url",
            llama.url,
            *("--broker", f"{broker.address.host}:{broker.address.port}"),
        ) as worker,
    ):
        await worker.until_said("worker .* serves")
        settings = {
            "LLM_COMM_MODE": "mqtt",
            "MQTT_BROKER_HOST": broker.address.host,
            "MQTT_BROKER_PORT": str(broker.address.port),
        }
        async with running_gateway(tmp_path, **settings) as gateway, House(gateway) as house:
            await gateway.until_ready()
            reader = await house.begin(**ENDLESS)
            answer = await house.http.post(f"{STREAM}/{reader.stream_id}/stop")
            await reader.read()
            await until(llama.busy_slots, 0)
            (row,) = await house.messages()
    assert answer.json()["reason"] == reader.source.ends[0]["reason"] == "user_stop"
    assert (row["status"], row["content"]) == ("cancelled", reader.source.text)


async def read_on(house: House, reader: RawReader, stream_id: str, chars: int | None = None) -> RawReader:
    """Read this many characters, or to the end of the reply.

    Comes back as browsers do: on a busy machine the gateway may cut off this reader too.
    """
    source = reader.source

    def has_enough() -> bool:
        return source.ended if chars is None else source.chars >= chars

    await reader.read(has_enough)
    while not has_enough():
        await reader.close()
        reader = await house.client.come_back(stream_id, source)
        await reader.read(has_enough)
    return reader


async def test_a_reader_that_takes_nothing_is_cut_off_and_may_come_back(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        model_server() as model,
        gateway_of(tmp_path, model.url, SEND_TIMEOUT_S="5", SSE_PING_S="1") as house,
    ):
        before = await house.sockets()
        blocked = await house.client.ask("Hi", resumable=True, receive_buffer_bytes=4096)
        await blocked.begin()
        other = await house.client.come_back(blocked.stream_id, EventSource())
        for text in LONG_TEXT:
            model.say(text)
        length = len("one ") + sum(map(len, LONG_TEXT))
        other = await read_on(house, other, blocked.stream_id, length)
        await until(house.streams, 1)
        again = await house.client.come_back(blocked.stream_id, blocked.source)
        model.end()
        for reader in (again, other):
            await (await read_on(house, reader, blocked.stream_id)).close()
        await until(house.runs, 0)
        await until(house.sockets, before)
        (row,) = await house.messages()
        code = await house.program.end(signal.SIGTERM)
    assert again.source.text == other.source.text == row["content"]
    assert len(row["content"]) == length
    assert (code, house.said_no_errors()) == (0, True), house.program.said


@pytest.mark.parametrize("told_from", ["the journal", "the database"])
async def test_a_reader_of_an_ended_reply_that_takes_nothing_is_cut_off(
    tmp_path: Path, told_from: str
) -> None:
    settings = {"SEND_TIMEOUT_S": "0.5", "SSE_PING_S": "1"}
    if told_from == "the database":
        settings["JOURNAL_TTL_S"] = "0"
    async with asyncio.timeout(120), model_server() as model:
        model.open_with(*LONG_TEXT, end=True)
        async with gateway_of(tmp_path, model.url, **settings) as house:
            reader = await house.client.ask("Hi", resumable=True)
            await reader.read()
            await reader.close()
            await until(house.streams, 0)
            before = await house.sockets()
            blocked = await house.client.come_back(reader.stream_id, EventSource(), receive_buffer_bytes=4096)
            await blocked.begin()
            await until(house.sockets, before)
            again = blocked
            while not again.source.ended:  # on a slow machine it is cut off too
                again = await house.client.come_back(again.stream_id, again.source)
                await again.read()
    assert again.source.text == "".join(LONG_TEXT)


@pytest.mark.parametrize("resumable", [False, True])
async def test_200_clients_that_vanish_leave_nothing_behind(tmp_path: Path, resumable: bool) -> None:
    settings = {"RESUME_GRACE_S": "0.1", "JOURNAL_TTL_S": "0"}
    async with (
        asyncio.timeout(120),
        model_server() as model,
        gateway_of(tmp_path, model.url, **settings) as house,
    ):
        before = await house.sockets()
        readers = [await house.begin(str(n), resumable=resumable) for n in range(200)]
        held = await house.holds()
        for reader in readers:
            await reader.reset()
        await model.all_gone()
        await house.until_it_holds_nothing()
        await until(house.sockets, before)
        rows = await house.messages()
    assert (held["runs"], held["streams"]) == (200, 200)
    assert [(row["status"], row["reason"], row["content"]) for row in rows] == [
        ("cancelled", "abandoned", "one ")
    ] * 200
