"""The unified endpoint: what a frontend sees, and what is kept of it."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from gateway.contract.errors import Loading, ModelRefused, NoWorker, Unreachable
from gateway.contract.events import Delta, Done, Progress, Reasoning, ToolCall, Usage
from gateway.contract.requests import ChatRequest
from gateway.contract.transport import Abilities, TransportInfo
from gateway.web.http.asgi import Send
from gateway.web.http.sse_writer import Headers, SseWriter
from tests.web.gateway_server import STREAM, served, unified_events
from transports.scripted import Script, ScriptedTransport, Step, tokens, whole

PATHS = ["/messages/stream", "/api/chatbot/messages/stream"]


def says(*steps: Step) -> Script:
    return lambda _: steps


@pytest.mark.parametrize("path", PATHS)
async def test_metadata_first_chunks_next_done_last(tmp_path: Path, path: str) -> None:
    async with served(tmp_path, says(*tokens("Hel", "lo"))) as gateway:
        metadata, *chunks, done = await gateway.events({"content": "Hi"}, path)
        user, assistant = await gateway.messages()
    assert metadata["type"] == "metadata"
    assert (metadata["session_id"], metadata["mode"], metadata["delivery"]) == (1, "sse", "token")
    assert (metadata["user_message_id"], metadata["assistant_message_id"]) == (user["id"], assistant["id"])
    assert "".join(chunk["content"] for chunk in chunks) == "Hello"
    assert {chunk["type"] for chunk in chunks} == {"chunk"}
    assert (done["type"], done["full_content"], done["reason"]) == ("done", "Hello", "stop")
    assert done["assistant_message_id"] == assistant["id"]
    assert (assistant["content"], assistant["status"], assistant["stream_id"]) == (
        "Hello",
        "complete",
        metadata["stream_id"],
    )


async def test_the_head_is_that_of_a_stream_and_names_it(tmp_path: Path) -> None:
    async with (
        served(tmp_path, says(*tokens("x"))) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as response,
    ):
        events = [event async for event in unified_events(response)]
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache, no-transform"
    assert response.headers["x-accel-buffering"] == "no"
    assert "connection" not in response.headers
    assert response.headers["sluice-stream-id"] == events[0]["stream_id"]


async def test_the_model_is_asked_before_the_head_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    begin = SseWriter.begin

    async def noted(self: SseWriter, send: Send, headers: Headers = ()) -> None:
        order.append("head")
        await begin(self, send, headers)

    def script(_: ChatRequest) -> list[Step]:
        order.append("asked")
        return tokens("x")

    monkeypatch.setattr(SseWriter, "begin", noted)
    async with served(tmp_path, script) as gateway:
        await gateway.events({"content": "Hi"})
    assert order == ["asked", "head"]


async def test_each_token_is_sent_when_it_comes(tmp_path: Path) -> None:
    first, second = asyncio.Event(), asyncio.Event()
    script = says([Delta("one")], first.wait, [Delta("two")], second.wait, [Done("stop")])
    async with (
        served(tmp_path, script) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as response,
    ):
        events = unified_events(response)
        assert (await anext(events))["type"] == "metadata"
        assert (await anext(events))["content"] == "one"
        first.set()
        assert (await anext(events))["content"] == "two"
        second.set()
        assert (await anext(events))["type"] == "done"


async def test_every_kind_of_event_is_told(tmp_path: Path) -> None:
    steps: list[Step] = [
        [Progress("prompt", processed=1, total=2)],
        [Reasoning("hm")],
        [ToolCall("c", "f", "{}")],
        [Delta("x")],
        [Usage(1, 2, 3), Done("tool_calls", model="tiny")],
    ]
    async with served(tmp_path, says(*steps)) as gateway:
        events = await gateway.events({"content": "Hi"})
        assistant = (await gateway.messages())[1]
    assert [event["type"] for event in events] == [
        "metadata",
        "progress",
        "reasoning",
        "tool_call",
        "chunk",
        "done",
    ]
    assert events[-1]["usage"] == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assert (events[-1]["reason"], events[-1]["model"]) == ("tool_calls", "tiny")
    assert assistant["reasoning"] == "hm"
    assert assistant["tool_calls"] == [{"id": "c", "name": "f", "args": "{}"}]


async def test_usage_is_absent_where_nobody_counted(tmp_path: Path) -> None:
    async with served(tmp_path, says(*tokens("x"))) as gateway:
        done = (await gateway.events({"content": "Hi"}))[-1]
    assert "usage" not in done
    assert "tokens_per_s" not in done


async def test_a_whole_reply_is_paced_and_says_so(tmp_path: Path) -> None:
    text = "It came whole, 🙂 all of it."
    async with served(tmp_path, says(*whole(text)), chunk_size=4, chunk_delay_s=0.001) as gateway:
        _, *chunks, done = await gateway.events({"content": "Hi"})
    assert len(chunks) > 3
    assert "".join(chunk["content"] for chunk in chunks) == text == done["full_content"]
    assert done["delivery"] == "chunked"


async def test_trouble_before_the_first_token_is_an_error_event(tmp_path: Path) -> None:
    async with served(tmp_path, says(Unreachable("llama.cpp refused the connection."))) as gateway:
        metadata, error = await gateway.events({"content": "Hi"})
        assistant = (await gateway.messages())[1]
    assert metadata["type"] == "metadata"
    assert (error["type"], error["code"], error["reason"]) == ("error", "unreachable", "upstream_error")
    assert error["retryable"] is True
    assert error["message"] == "llama.cpp refused the connection."
    assert (assistant["status"], assistant["error"]["code"]) == ("failed", "unreachable")


async def test_trouble_in_the_middle_tells_what_was_kept(tmp_path: Path) -> None:
    async with served(tmp_path, says([Delta("Hel")], Loading("It restarts."))) as gateway:
        error = (await gateway.events({"content": "Hi"}))[-1]
        assistant = (await gateway.messages())[1]
    assert (error["full_content"], error["assistant_message_id"]) == ("Hel", assistant["id"])
    assert (assistant["content"], assistant["status"]) == ("Hel", "failed")


async def test_what_the_model_server_refuses_is_not_retryable(tmp_path: Path) -> None:
    async with served(tmp_path, says(ModelRefused("The prompt is too long."))) as gateway:
        error = (await gateway.events({"content": "Hi"}))[-1]
    assert (error["code"], error["retryable"]) == ("model_refused", False)


class NobodyThere(ScriptedTransport):
    @property
    def abilities(self) -> Abilities:
        return Abilities(admit=self.admit)

    def admit(self, model: str | None) -> TransportInfo:
        raise NoWorker("No worker is ready.", retry_after_s=5)


async def test_a_transport_that_cannot_start_is_an_http_error_and_keeps_nothing(tmp_path: Path) -> None:
    async with served(tmp_path, says(), kind=NobodyThere) as gateway:
        response = await gateway.http.post(STREAM, json={"content": "Hi"})
        sessions = (await gateway.http.get("/api/chatbot/sessions")).json()
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "5"
    assert response.json()["code"] == "no_worker"
    assert sessions == []


async def test_closing_the_connection_stops_the_reply(tmp_path: Path) -> None:
    async with served(tmp_path, says([Delta("on ")])) as gateway:
        async with gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as response:
            events = unified_events(response)
            assert [(await anext(events))["type"] for _ in range(2)] == ["metadata", "chunk"]
        await gateway.transport.idle()
        stopped = await gateway.http.post(f"{STREAM}/{response.headers['sluice-stream-id']}/stop")
        assistant = (await gateway.messages())[1]
    assert stopped.json()["reason"] == "abandoned"
    assert (assistant["content"], assistant["status"], assistant["reason"]) == (
        "on ",
        "cancelled",
        "abandoned",
    )


@pytest.mark.parametrize("way", ["POST", "DELETE"])
async def test_a_stop_ends_the_stream_with_done(tmp_path: Path, way: str) -> None:
    async with (
        served(tmp_path, says([Delta("on ")])) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as response,
    ):
        events = unified_events(response)
        stream_id = (await anext(events))["stream_id"]
        await anext(events)
        path = f"{STREAM}/{stream_id}" + ("/stop" if way == "POST" else "")
        stopped = await gateway.http.request(way, path)
        again = await gateway.http.request(way, path)
        done = await anext(events)
    assert stopped.status_code == 200
    told = {"stream_id": stream_id, "status": "cancelled", "reason": "user_stop"}
    assert stopped.json() == again.json() == told
    assert (done["type"], done["reason"], done["full_content"]) == ("done", "user_stop", "on ")


async def test_a_stop_of_nothing_is_not_found(tmp_path: Path) -> None:
    async with served(tmp_path, says()) as gateway:
        response = await gateway.http.post(f"{STREAM}/{'0' * 32}/stop")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_a_silent_stream_has_a_heartbeat_without_a_blank_line(tmp_path: Path) -> None:
    async with (
        served(tmp_path, says(), sse_ping_s=0.05) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as response,
    ):
        raw = response.aiter_raw()
        received = b""
        while received.count(b": ping\n") < 2:
            received += await anext(raw)
    assert b": ping\n\n" not in received
    assert re.search(rb"\n\n(: ping\n)+$", received)


async def test_the_sampling_and_the_options_reach_the_transport(tmp_path: Path) -> None:
    body = {
        "content": "Hi",
        "system_prompt": "Be brief.",
        "model": "tiny",
        "temperature": 0.5,
        "max_tokens": 7,
        "stop": ["x"],
        "options": {"top_k": 3},
        "a_field_of_the_frontend": {"deep": [1]},
    }
    async with served(tmp_path, says(*tokens("x"))) as gateway:
        await gateway.events(body)
        (asked,) = gateway.transport.seen_requests
    assert asked.sampling.as_json() == {
        "temperature": 0.5,
        "max_tokens": 7,
        "stop": ["x"],
        "options": {"top_k": 3},
    }
    assert (asked.model, asked.turns[0].content) == ("tiny", "Be brief.")


async def test_the_session_goes_on(tmp_path: Path) -> None:
    def script(request: ChatRequest) -> list[Step]:
        return tokens(f"{len(request.turns)} turns")

    async with served(tmp_path, script) as gateway:
        first = await gateway.events({"content": "one"})
        second = await gateway.events({"content": "two", "session_id": first[0]["session_id"]})
        fresh = await gateway.events({"content": "three", "session_id": None})
    assert second[0]["session_key"] == first[0]["session_key"] != fresh[0]["session_key"]
    assert [events[-1]["full_content"] for events in (first, second, fresh)] == [
        "1 turns",
        "3 turns",
        "1 turns",
    ]


async def test_many_at_once_never_mix(tmp_path: Path) -> None:
    def script(request: ChatRequest) -> list[Step]:
        return tokens(*(f"{request.turns[-1].content} " for _ in range(20)))

    async with served(tmp_path, script) as gateway, asyncio.TaskGroup() as group:
        tasks = [group.create_task(gateway.events({"content": f"n{number}"})) for number in range(40)]
        done = [(await task)[-1]["full_content"] for task in tasks]
    assert done == [f"n{number} " * 20 for number in range(40)]


async def test_the_non_streaming_twin_answers_with_both_messages(tmp_path: Path) -> None:
    async with served(tmp_path, says(*whole("all of it"))) as gateway:
        response = await gateway.http.post("/api/chatbot/messages", json={"content": "Hi"})
    assert response.status_code == 200
    told = response.json()
    assert (told["user_message"]["content"], told["assistant_message"]["content"]) == ("Hi", "all of it")
    assert told["assistant_message"]["status"] == "complete"


async def test_the_non_streaming_twin_has_the_errors_status(tmp_path: Path) -> None:
    async with served(tmp_path, says([Delta("Hel")], Unreachable("It is away."))) as gateway:
        response = await gateway.http.post("/api/chatbot/messages", json={"content": "Hi"})
    assert response.status_code == 503
    assert response.json()["code"] == "unreachable"
    assert response.json()["assistant_message"]["content"] == "Hel"


async def test_a_frame_is_never_cut_by_a_write(tmp_path: Path) -> None:
    text = "line\u2028separators\r\nand\x00bytes " * 30
    async with (
        served(tmp_path, says(*tokens(*(text for _ in range(50))))) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as response,
    ):
        chunks = [chunk async for chunk in response.aiter_raw()]
    frames = b"".join(chunks).split(b"\n\n")[:-1]
    assert all(b"\r" not in frame and b"\n" not in frame for frame in frames)
    told = [json.loads(frame[6:]) for frame in frames]
    assert "".join(event["content"] for event in told if event["type"] == "chunk") == text * 50


async def test_a_traceparent_goes_on_to_whoever_answers_and_rubbish_does_not(tmp_path: Path) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        for said in (trace, "rubbish", trace.upper()):
            await gateway.http.post(STREAM, json={"content": "Hi"}, headers={"traceparent": said})
        traces = [request.trace for request in gateway.transport.seen_requests]
    assert traces == [trace, None, None]
