"""OpenAI's Responses through the whole gateway: made, streamed, fetched, gone on from, stopped."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.contract.content import Image
from gateway.contract.errors import NoWorker, UpstreamFailed
from gateway.contract.events import Delta, Done, Progress, Reasoning, ToolCall, Usage
from gateway.contract.exchanges import Checkpoint
from gateway.contract.requests import ChatRequest
from gateway.web.chat.responses_form import ResponseBody
from tests.dialects.order import responses
from tests.web.chat.test_model_apis import PIXEL
from tests.web.gateway_server import Served, served
from transports.scripted import Step, tokens, whole

PATH = "/v1/responses"
ASKED: dict[str, Any] = {"model": "tiny", "input": "Hi"}
ANSWER: list[Step] = [
    [Progress("queued", position=1)],
    [Reasoning("Hm, ")],
    [Reasoning("well.")],
    [Delta("Let ")],
    [Delta("me ")],
    [Delta("look: "), Delta("now.")],
    [ToolCall("c1", "weather", '{"city": "Graz"}'), ToolCall("c2", "clock", '{"tz": ')],
    [Usage(11, 7, 18, 40.0)],
    [Done("tool_calls", "tiny")],
]


BROKEN_OFF: list[Step] = [
    [Reasoning("Hm.")],
    [Delta("Hel")],
    [Delta("lo")],
    UpstreamFailed("The model server broke off."),
]


class Pause:
    """A step that waits for `goes_on`. reached: it began."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self.goes_on.wait()


def events_in(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    return data_in(response.text)


def data_in(stream: str) -> list[dict[str, Any]]:
    lines = [line for line in stream.split("\n") if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


async def made(gateway: Served, **more: Any) -> dict[str, Any]:
    response = await gateway.http.post(PATH, json={**ASKED, **more})
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    return told


async def test_it_streams_a_reply_with_reasoning_and_tools(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        response = await gateway.http.post(PATH, json={**ASKED, "stream": True})
        (_, reply) = await gateway.messages()
    said = responses.hear(response.content)
    assert (said.text, said.reasoning) == ("Let me look: now.", "Hm, well.")
    assert [name for name, _ in said.tools] == ["weather", "clock"]
    assert said.ends == ("complete",)
    assert (reply["content"], reply["stream_id"]) == (said.text, response.headers["sluice-stream-id"])


async def test_one_object_is_the_streams_last_one_and_what_is_fetched(tmp_path: Path) -> None:
    settings = {"instructions": "Be brief.", "metadata": {"a": "b"}, "temperature": 0.5}
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        told = await made(gateway, **settings)
        fetched = (await gateway.http.get(f"{PATH}/{told['id']}")).json()
        last = events_in(await gateway.http.get(f"{PATH}/{told['id']}?stream=true"))[-1]["response"]
    assert told == fetched == last
    assert {name: told[name] for name in settings} == settings
    assert [item["type"] for item in told["output"]] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
    ]
    assert told["usage"]["total_tokens"] == 18
    assert told["status"] == "completed"


@pytest.mark.parametrize("journal_is_gone", [False, True])
@pytest.mark.parametrize("script", [ANSWER, whole("Hello there, all of you"), BROKEN_OFF])
async def test_a_stream_goes_on_behind_each_of_its_events(
    tmp_path: Path, script: list[Step], journal_is_gone: bool
) -> None:
    async with served(tmp_path, lambda _: script, journal_ttl_s=0 if journal_is_gone else 60) as gateway:
        live = events_in(await gateway.http.post(PATH, json={**ASKED, "stream": True}))
        path = f"{PATH}/{live[0]['response']['id']}?stream=true"
        assert events_in(await gateway.http.get(path)) == live
        for number in range(len(live)):
            rest = events_in(await gateway.http.get(f"{path}&starting_after={number}"))
            assert rest == live[number + 1 :]


async def test_numbers_stay_when_a_running_replys_journal_has_dropped_its_beginning(tmp_path: Path) -> None:
    said = ["word " * 40 + str(number) for number in range(100)]
    waits = Pause()
    script: list[Step] = [[Reasoning("Hm, ")], [Reasoning("well.")], *([Delta(text)] for text in said)]
    script += [waits, [Delta("The end.")], [Done("stop", "tiny")]]
    async with served(tmp_path, lambda _: script, journal_max_bytes=1024) as gateway:
        services = gateway.assembled.gateway
        async with gateway.http.stream("POST", PATH, json={**ASKED, "stream": True}) as live:
            await waits.reached.wait()
            stream_id = live.headers["sluice-stream-id"]
            run = services.runs.find(stream_id, "local")
            kept = Checkpoint(run.exchange.assistant_message_id, "".join(said), "Hm, well.")
            assert await services.store.checkpoint([kept]) == []
            run.journal.checkpointed(run.journal.last_seq)
            with services.runs.looking(run, 0) as look:
                assert look.begins_at is not None
            path = f"{PATH}/resp_{stream_id}?stream=true&starting_after=20"
            async with gateway.http.stream("GET", path) as rest:
                waits.goes_on.set()
                behind = data_in((await rest.aread()).decode())
            told = data_in((await live.aread()).decode())
        assert behind == told[21:]
        assert events_in(await gateway.http.get(path)) == behind


async def test_it_goes_on_from_a_response_with_its_tools(tmp_path: Path) -> None:
    output = {"type": "function_call_output", "call_id": "c1", "output": "rain"}
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        first = await made(gateway, instructions="Be brief.")
        await made(gateway, input="Something else")
        second = await made(gateway, input=[output], previous_response_id=first["id"])
        await made(gateway, input="So?", previous_response_id=second["id"])
        _, _, third, fourth = gateway.transport.seen_requests
    assert [turn.role for turn in third.turns] == ["user", "assistant", "tool"]
    asked, called, result = third.turns
    assert (asked.content, called.content, called.reasoning_content) == (
        "Hi",
        "Let me look: now.",
        "Hm, well.",
    )
    assert [call["id"] for call in called.tool_calls] == ["c1", "c2"]
    assert (result.content, result.tool_call_id) == ("rain", "c1")
    assert [turn.role for turn in fourth.turns] == ["user", "assistant", "tool", "assistant", "user"]
    assert second["previous_response_id"] == first["id"]


async def test_references_stand_for_the_items_that_we_gave_out(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        first = await made(gateway)
        references = [{"type": "item_reference", "id": item["id"]} for item in first["output"]]
        told = await made(gateway, input=[{"role": "user", "content": "Hi"}, *references])
        unknown = {"type": "item_reference", "id": f"msg_{'0' * 32}_0"}
        refused = await gateway.http.post(PATH, json={**ASKED, "input": [unknown]})
        items = (await gateway.http.get(f"{PATH}/{told['id']}/input_items?order=asc")).json()
        _, request = gateway.transport.seen_requests
    assert [turn.role for turn in request.turns] == ["user", "assistant"]
    assert request.turns[1].content == "Let me look: now."
    assert refused.status_code == 404
    assert [item["type"] for item in items["data"][1:]] == [item["type"] for item in first["output"]]


@pytest.mark.parametrize("stored", [True, False])
async def test_a_round_of_tools_ends_with_the_answer(tmp_path: Path, stored: bool) -> None:
    def script(request: ChatRequest) -> list[Step]:
        return tokens("It ", "rains.") if request.turns[-1].role == "tool" else ANSWER

    async with served(tmp_path, script) as gateway:
        first = await made(gateway, store=stored)
        results = [
            {"type": "function_call_output", "call_id": item["call_id"], "output": "rain"}
            for item in first["output"]
            if item["type"] == "function_call"
        ]
        question = {"role": "user", "content": "Hi"}
        second = await made(gateway, store=stored, input=[question, *first["output"], *results])
        _, request = gateway.transport.seen_requests
    assert [turn.role for turn in request.turns] == ["user", "assistant", "tool", "tool"]
    assert second["output"][0]["content"][0]["text"] == "It rains."


async def test_a_conversation_goes_on_by_its_name(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        told = await made(gateway, conversation="conv_1")
        await made(gateway, conversation={"id": "conv_1"}, input="Again")
        await made(gateway, conversation="conv_2")
        _, second, third = gateway.transport.seen_requests
    assert [turn.content for turn in second.turns] == ["Hi", "Hello", "Again"]
    assert [turn.content for turn in third.turns] == ["Hi"]
    assert told["conversation"] == {"id": "conv_1"}


@pytest.mark.parametrize("said", [[], [[Delta("Hel")]]])
async def test_a_question_of_a_conversation_is_sent_again_after_its_reply_failed(
    tmp_path: Path, said: list[Step]
) -> None:
    failing = iter([False, True, True])

    def script(_: ChatRequest) -> list[Step]:
        return [*said, UpstreamFailed("Broke off.")] if next(failing, False) else tokens("Hello")

    async with served(tmp_path, script) as gateway:
        await made(gateway, conversation="c")
        again = {**ASKED, "conversation": "c", "input": "Again"}
        for _ in range(2):
            assert (await gateway.http.post(PATH, json=again)).status_code == 502
        await made(gateway, conversation="c", input="Again")
        asked = gateway.transport.seen_requests[-1]
        questions = [message["content"] for message in await gateway.messages() if message["role"] == "user"]
    assert [turn.content for turn in asked.turns] == ["Hi", "Hello", "Again"]
    assert questions == ["Hi", "Again"]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_not_stored_is_kept_nowhere(tmp_path: Path, stream: bool) -> None:
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        response = await gateway.http.post(PATH, json={**ASKED, "store": False, "stream": stream})
        told = events_in(response)[-1]["response"] if stream else response.json()
        gone = await gateway.http.get(f"{PATH}/{told['id']}")
        sessions = (await gateway.http.get("/api/chatbot/sessions?all=1")).json()
    assert (told["status"], told["store"], len(told["output"])) == ("completed", False, 4)
    assert (gone.status_code, sessions) == (404, [])
    assert gone.json()["error"]["type"] == "invalid_request_error"


async def test_the_conversation_comes_to_the_model_whole(tmp_path: Path) -> None:
    body = {
        "model": "tiny",
        "instructions": "Be brief.",
        "max_output_tokens": 9,
        "reasoning": {"effort": "none"},
        "parallel_tool_calls": False,
        "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True}],
        "tool_choice": {"type": "function", "name": "weather"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "And this?"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "low"},
                    {
                        "type": "input_file",
                        "filename": "a.txt",
                        "file_data": "data:text/plain;base64,SGkK",
                    },
                ],
            },
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "One moment."}],
            },
            {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "rain"},
            {"role": "developer", "content": "In German."},
            {"role": "user", "content": "So?"},
        ],
    }
    async with served(tmp_path, lambda _: tokens("It rains.")) as gateway:
        assert (await gateway.http.post(PATH, json=body)).status_code == 200
        (request,) = gateway.transport.seen_requests
    assert [turn.role for turn in request.turns] == [
        "system",
        "user",
        "assistant",
        "tool",
        "system",
        "user",
    ]
    _, image, called, result, _, _ = request.turns
    assert isinstance(image.content, tuple)
    assert isinstance(image.content[1], Image)
    assert (called.reasoning_content, called.content, len(called.tool_calls)) == ("hm", "One moment.", 1)
    assert (result.content, result.tool_call_id) == ("rain", "c1")
    sampling = request.sampling
    assert sampling.tools is not None
    assert sampling.tools[0]["function"]["strict"] is True
    assert sampling.tool_choice == {"type": "function", "function": {"name": "weather"}}
    assert sampling.response_format is not None
    assert sampling.response_format["json_schema"]["schema"] == {"type": "object"}
    assert sampling.max_tokens == 9
    assert sampling.options == {
        "parallel_tool_calls": False,
        "chat_template_kwargs": {"enable_thinking": False},
    }


async def test_a_background_response_needs_no_reader_and_is_stopped(tmp_path: Path) -> None:
    waits = Pause()
    async with served(tmp_path, lambda _: [[Delta("Hel")], waits], resume_grace_s=0) as gateway:
        told = await made(gateway, background=True)
        path = f"{PATH}/{told['id']}"
        await waits.reached.wait()
        async with gateway.http.stream("GET", f"{path}?stream=true") as reader:
            assert reader.status_code == 200  # and its leaving ends nothing
        running = (await gateway.http.get(path)).json()
        stopped = (await gateway.http.post(f"{path}/cancel")).json()
        again = (await gateway.http.post(f"{path}/cancel")).json()
        fetched = (await gateway.http.get(path)).json()
        streamed = events_in(await gateway.http.get(f"{path}?stream=true"))
    assert (told["status"], running["status"], told["background"]) == ("in_progress", "in_progress", True)
    assert stopped == again == fetched
    assert (stopped["status"], stopped["output"][0]["status"]) == ("cancelled", "incomplete")
    assert stopped["output"][0]["content"][0]["text"] == "Hel"
    assert streamed[-1]["type"] == "response.completed"  # what every client takes


async def test_a_reply_whose_numbers_are_lost_is_told_by_its_end(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hello"), journal_ttl_s=0) as gateway:
        asked = {"content": "Hi", "resumable": True}
        stream_id = (await gateway.http.post("/messages/stream", json=asked)).headers["sluice-stream-id"]
        path = f"{PATH}/resp_{stream_id}?stream=true"
        whole = events_in(await gateway.http.get(path))
        (end,) = events_in(await gateway.http.get(f"{path}&starting_after=70"))
    assert (end["type"], end["sequence_number"]) == ("response.completed", 71)
    assert end["response"]["output"] == whole[-1]["response"]["output"]


async def test_failures_are_a_status_or_the_last_event(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: [NoWorker("No worker is ready.")]) as gateway:
        for stream in (False, True):
            refused = await gateway.http.post(PATH, json={**ASKED, "stream": stream})
            assert refused.status_code == 503
            assert refused.json()["error"]["message"] == "No worker is ready."
    async with served(tmp_path, lambda _: BROKEN_OFF) as gateway:
        response = await gateway.http.post(PATH, json={**ASKED, "stream": True})
        heard = responses.hear(response.content)
        id = events_in(response)[0]["response"]["id"]
        fetched = (await gateway.http.get(f"{PATH}/{id}")).json()
        deleted = (await gateway.http.delete(f"{PATH}/{id}")).json()
    assert (heard.text, heard.ends, heard.error) == ("Hello", ("error",), "The model server broke off.")
    assert (fetched["status"], fetched["error"]["message"]) == ("failed", "The model server broke off.")
    assert fetched["output"][1]["content"][0]["text"] == "Hello"
    assert deleted == {"id": id, "object": "response", "deleted": True}


async def test_a_deleted_response_is_gone_with_its_question_and_its_journal(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        http = gateway.http
        first = (await http.post(PATH, json=ASKED)).json()
        second = (await http.post(PATH, json={**ASKED, "previous_response_id": first["id"]})).json()
        streamed = await http.post(PATH, json={**ASKED, "stream": True})
        third = f"resp_{streamed.headers['sluice-stream-id']}"
        for id in (first["id"], third):
            assert (await http.delete(f"{PATH}/{id}")).json()["deleted"] is True
            for gone in (
                await http.get(f"{PATH}/{id}"),
                await http.get(f"{PATH}/{id}?stream=true"),
                await http.get(f"{PATH}/{id}/input_items"),
                await http.post(f"{PATH}/{id}/cancel"),
                await http.delete(f"{PATH}/{id}"),
                await http.post(PATH, json={**ASKED, "previous_response_id": id}),
                await http.get(f"/messages/stream/{id.removeprefix('resp_')}"),
            ):
                assert gone.status_code == 404, gone.text
        assert (await http.get(f"{PATH}/{second['id']}")).status_code == 200
        (session,) = (await http.get("/api/chatbot/sessions?all=1")).json()
        kept = await gateway.messages(session["id"])
    assert [message["stream_id"] for message in kept] == [None, second["id"].removeprefix("resp_")]
    assert kept[0]["parent_id"] is None


async def test_deleting_a_running_response_stops_it(tmp_path: Path) -> None:
    held = asyncio.Event()
    script: list[Step] = [[Delta("Hello")], held.wait, [Done("stop")]]
    async with served(tmp_path, lambda _: script) as gateway:
        made = (await gateway.http.post(PATH, json={**ASKED, "background": True})).json()
        assert made["status"] == "in_progress"
        deleted = await gateway.http.delete(f"{PATH}/{made['id']}")
        await gateway.transport.idle()
        gone = await gateway.http.get(f"{PATH}/{made['id']}")
    assert (deleted.status_code, gone.status_code) == (200, 404)


NO_IMAGE = {"type": "input_image", "image_url": "https://example.com/a.png"}
WRONG: list[dict[str, Any]] = [
    {"input": []},
    {"input": None},
    {"input": [{"type": "message", "role": "user"}]},
    {"input": [{"type": "message", "role": "ghost", "content": "x"}]},
    {"input": [{"role": "user", "content": [NO_IMAGE]}]},
    {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
    {"input": [{"type": "web_search_call", "id": "x"}]},
    {"input": [{"type": "reasoning", "summary": "x"}]},
    {"input": [{"type": "function_call", "call_id": 1}]},
    {"input": [{"type": "function_call_output", "output": "x"}]},
    {"input": [{"type": "function_call_output", "call_id": "x", "output": {}}]},
    {"tools": [{"type": "web_search"}]},
    {"tools": [{"type": "function", "name": "x", "parameters": []}]},
    {"tools": [{"type": "function", "name": f"t{n}"} for n in range(10_000)]},
    {"text": {"format": {"type": "json_schema", "name": "x"}}},
    {"text": {"format": {"type": "yaml"}}},
    {"tool_choice": {"type": "file_search"}},
    {"metadata": {str(n): "x" for n in range(17)}},
    {"background": True, "store": False},
    {"prompt": {"id": "p"}},
    {"top_logprobs": 3},
    {"previous_response_id": f"resp_{'0' * 32}", "conversation": "c"},
]


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_does_not_fit_is_refused_as_openai_does(tmp_path: Path, wrong: dict[str, Any]) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        response = await gateway.http.post(PATH, json={**ASKED, **wrong})
        assert gateway.transport.seen_requests == []
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"].split(".")[0] in {*wrong, "body"}


async def test_wrong_types_at_every_field_are_never_our_fault(tmp_path: Path) -> None:
    rubbish: list[Any] = [0, -1, 1e300, True, "x", "", [], [[]], [1], {}, {"id": 1}, {"type": []}, ["\ud800"]]
    cycle = {"$ref": "#", "properties": {"a": {"$ref": "#/properties/a"}}}
    format = {"type": "json_schema", "name": "x", "schema": cycle}
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        await made(gateway, tools=[{"type": "function", "name": "x", "parameters": cycle}])
        await made(gateway, text={"format": format})
        for field in ResponseBody.model_fields:
            for value in rubbish:
                content = json.dumps({**ASKED, field: value})
                headers = {"content-type": "application/json"}
                response = await gateway.http.post(PATH, content=content, headers=headers)
                assert response.status_code < 500, (field, value, response.text)
                if response.status_code != 200:
                    assert response.json()["error"]["type"] == "invalid_request_error", (field, value)
        for query in ("stream=true&starting_after=x", "stream=true&starting_after=-1", "limit=x"):
            ids = [(await made(gateway))["id"], "resp_x", "x", "resp_" + "0" * 32]
            for id in ids:
                for path in (f"{PATH}/{id}", f"{PATH}/{id}/input_items"):
                    told = await gateway.http.get(f"{path}?{query}")
                    assert told.status_code in (200, 400, 404), (path, query, told.text)
