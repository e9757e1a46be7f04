"""A reply that was cut off goes on in the same message and the same stream."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.contract.content import text_of
from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import Delta, Done, Reasoning, ToolCall, Usage
from tests.web.event_source import kinds
from tests.web.gateway_server import STREAM, served, unified_events
from transports.scripted import Step

MESSAGES = "/api/chatbot/messages"
CONTINUE = f"{MESSAGES}/2/continue"


def parts(*told: Sequence[Step]) -> Any:
    """A script that answers each request with the next of these."""
    left = list(told)
    return lambda _: left.pop(0)


FIRST: list[Step] = [[Delta("Once "), Delta("upon "), Usage(3, 2, 5, 8.0)], [Done("length", "tiny")]]
REST: list[Step] = [[Delta("a "), Delta("time."), Usage(5, 2, 7, 9.0)], [Done("stop", "tiny")]]


def joined(told: Sequence[dict[str, Any]]) -> str:
    return "".join(event["content"] for event in told if event["type"] == "chunk")


def frames(response: httpx.Response) -> list[tuple[str, dict[str, Any]]]:
    """Each event with its id."""
    told = []
    for frame in response.text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in frame.split("\n"))
        if "data" in lines:
            told.append((lines.get("id", ""), json.loads(lines["data"])))
    return told


async def test_the_reader_gets_the_new_text_and_the_message_has_the_whole(tmp_path: Path) -> None:
    async with served(tmp_path, parts(FIRST, REST)) as gateway:
        first = await gateway.events({"content": "Tell", "system_prompt": "Be brief."})
        told = await gateway.events({"system_prompt": "Be brief.", "max_tokens": 9}, CONTINUE)
        question, reply = await gateway.messages()
        usage = (await gateway.http.get("/api/chatbot/usage")).json()
        request = gateway.transport.seen_requests[-1]
    assert kinds(told) == ["metadata", "chunk", "done"]
    assert joined(told) == "a time."
    assert told[-1]["full_content"] == reply["content"] == "Once upon a time."
    assert told[0]["stream_id"] == first[0]["stream_id"] == reply["stream_id"]
    assert (told[0]["user_message_id"], told[0]["assistant_message_id"]) == (question["id"], reply["id"])
    whole = {"prompt_tokens": 8, "completion_tokens": 4, "total_tokens": 12}
    assert told[-1]["usage"] == reply["usage"] == whole
    assert (reply["status"], reply["reason"], reply["model"]) == ("complete", "stop", "tiny")
    (day,) = usage
    assert {name: day[name] for name in whole} == whole
    assert [(turn.role, text_of(turn.content)) for turn in request.turns] == [
        ("system", "Be brief."),
        ("user", "Tell"),
        ("assistant", "Once upon "),
    ]
    assert request.sampling.max_tokens == 9


async def test_it_goes_on_twice_and_every_position_leads_to_the_rest(tmp_path: Path) -> None:
    more: list[Step] = [[Delta("a ")], [Done("length")]]
    last: list[Step] = [[Delta("time.")], [Done("stop")]]
    async with served(tmp_path, parts(FIRST, more, last)) as gateway:
        resumable = {"resumable": True}
        told = [frames(await gateway.http.post(STREAM, json={"content": "Tell", **resumable}))]
        told += [frames(await gateway.http.post(CONTINUE, json=resumable)) for _ in range(2)]
        url = f"{STREAM}/{told[0][0][1]['stream_id']}"
        whole = frames(await gateway.http.get(url))
        seen = [(id, event) for part in told for id, event in part]
        rests = [await gateway.http.get(url, headers={"last-event-id": id}) for id, _ in seen]
    text = "Once upon a time."
    assert [joined([event for _, event in part]) for part in told] == ["Once upon ", "a ", "time."]
    assert joined([event for _, event in whole]) == text
    assert kinds([event for _, event in whole]) == ["metadata", "chunk", "done"]
    seqs = [int(id.partition("-")[0]) for id, _ in seen]
    assert seqs == sorted(seqs)
    for (id, _), rest in zip(seen, rests, strict=True):
        chars = int(id.partition("-")[2])
        heard = joined([event for _, event in frames(rest)]) if rest.status_code == 200 else ""
        assert heard == text[chars:], id
    assert rests[-1].status_code == 204


async def test_a_reader_of_the_whole_stream_follows_while_it_goes_on(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    rest: list[Step] = [[Delta("a ")], go_on.wait, [Delta("time.")], [Done("stop")]]
    async with served(tmp_path, parts(FIRST, rest)) as gateway:
        first = await gateway.events({"content": "Tell"})
        async with gateway.http.stream("POST", CONTINUE, json={}) as response:
            events = unified_events(response)
            assert [(await anext(events))["type"] for _ in range(2)] == ["metadata", "chunk"]
            url = f"{STREAM}/{first[0]['stream_id']}"
            async with gateway.http.stream("GET", url) as other:
                others = unified_events(other)
                told = [await anext(others)]
                while joined(told) != "Once upon a ":
                    told.append(await anext(others))
                again = await gateway.http.post(CONTINUE, json={})
                go_on.set()
                told += [event async for event in others]
            own = [event async for event in events]
    assert again.status_code == 409
    assert kinds(told) == ["metadata", "chunk", "done"]
    assert joined(told) == "Once upon a time."
    assert joined(own) == "time."


async def test_a_post_sent_again_gets_the_same_rest(tmp_path: Path) -> None:
    async with served(tmp_path, parts(FIRST, REST), journal_ttl_s=0) as gateway:
        await gateway.events({"content": "Tell"})
        headers = {"idempotency-key": "k1"}
        told = [frames(await gateway.http.post(CONTINUE, headers=headers)) for _ in range(2)]
        id = told[0][1][0]
        rest = frames(await gateway.http.post(CONTINUE, headers={**headers, "last-event-id": id}))
        other = await gateway.http.post(CONTINUE, json={"seed": 1}, headers=headers)
        assert len(gateway.transport.seen_requests) == 2
    assert [joined([event for _, event in part]) for part in told] == ["a time."] * 2
    assert [kinds([event for _, event in part]) for part in told] == [["metadata", "chunk", "done"]] * 2
    chars = int(id.partition("-")[2]) - len("Once upon ")
    assert joined([event for _, event in rest]) == "a time."[chars:]
    assert other.status_code == 409


async def test_the_first_post_sent_again_gets_the_whole(tmp_path: Path) -> None:
    async with served(tmp_path, parts(FIRST, REST), journal_ttl_s=0) as gateway:
        headers = {"idempotency-key": "k1"}
        await gateway.http.post(STREAM, json={"content": "Tell"}, headers=headers)
        await gateway.events({}, CONTINUE)
        again = frames(await gateway.http.post(STREAM, json={"content": "Tell"}, headers=headers))
    assert joined([event for _, event in again]) == "Once upon a time."


async def test_a_whole_reply_that_repeats_the_text_is_cut(tmp_path: Path) -> None:
    whole: list[Step] = [[Done("stop", whole=[Delta("Once upon a time.")])]]
    async with served(tmp_path, parts(FIRST, whole)) as gateway:
        await gateway.events({"content": "Tell"})
        told = await gateway.events({}, CONTINUE)
        reply = (await gateway.messages())[1]
    assert joined(told) == "a time."
    assert reply["content"] == "Once upon a time."


@pytest.mark.parametrize("end", ["stop", "leave", "fail"])
async def test_a_reply_that_did_not_end_by_itself_goes_on(tmp_path: Path, end: str) -> None:
    script: list[Step] = [[Delta("Once upon ")]]
    script += [UpstreamFailed("broke off")] if end == "fail" else [asyncio.Event().wait]
    async with served(tmp_path, parts(script, REST)) as gateway:
        async with gateway.http.stream("POST", STREAM, json={"content": "Tell"}) as response:
            events = unified_events(response)
            assert [(await anext(events))["type"] for _ in range(2)] == ["metadata", "chunk"]
            if end == "stop":
                await gateway.http.post(f"{STREAM}/{response.headers['sluice-stream-id']}/stop")
        await gateway.transport.idle()
        while (await gateway.messages())[1]["status"] == "streaming":
            pass
        told = await gateway.events({}, CONTINUE)
        reply = (await gateway.messages())[1]
    assert joined(told) == "a time."
    assert (reply["content"], reply["status"], reply["error"]) == ("Once upon a time.", "complete", None)


async def test_a_failure_while_it_goes_on_keeps_the_text(tmp_path: Path) -> None:
    fails: list[Step] = [UpstreamFailed("broke off")]
    async with served(tmp_path, parts(FIRST, fails, REST)) as gateway:
        await gateway.events({"content": "Tell"})
        told = await gateway.events({}, CONTINUE)
        await gateway.events({}, CONTINUE)
        reply = (await gateway.messages())[1]
    assert (told[-1]["type"], told[-1]["full_content"]) == ("error", "Once upon ")
    assert reply["content"] == "Once upon a time."


async def test_it_speaks_other_dialects(tmp_path: Path) -> None:
    async with served(tmp_path, parts(FIRST, REST)) as gateway:
        await gateway.events({"content": "Tell"})
        told = await gateway.http.post(f"{CONTINUE}?format=openai")
    assert '"content":"a ' in told.text
    assert "Once" not in told.text
    assert told.text.endswith("data: [DONE]\n\n")


REFUSED: dict[str, list[Step]] = {
    "ended": [[Delta("The end.")], [Done("stop")]],
    "tools": [[Delta("x"), ToolCall("1", "f", "{}")], [Done("length")]],
    "silent": [[Reasoning("hm")], [Done("length")]],
}


@pytest.mark.parametrize("name", REFUSED)
async def test_other_replies_are_refused(tmp_path: Path, name: str) -> None:
    async with served(tmp_path, parts(REFUSED[name])) as gateway:
        await gateway.events({"content": "Tell"})
        before = await gateway.messages()
        refused = [await gateway.http.post(f"{MESSAGES}/{id}/continue", json={}) for id in (1, 2)]
        assert await gateway.messages() == before
    assert [response.status_code for response in refused] == [409, 409]
    assert "question" in refused[0].json()["detail"]


async def test_a_reply_that_a_message_follows_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path, parts(FIRST, FIRST)) as gateway:
        await gateway.events({"content": "Tell"})
        await gateway.events({"content": "And?", "session_id": 1})
        refused = await gateway.http.post(CONTINUE, json={})
        unknown = await gateway.http.post(f"{MESSAGES}/99/continue", json={})
        wrong = await gateway.http.post(CONTINUE, json={"seed": "x"})
    assert [each.status_code for each in (refused, unknown, wrong)] == [409, 404, 422]


async def test_the_response_cache_is_left_out(tmp_path: Path) -> None:
    async with served(tmp_path, parts(FIRST, FIRST, REST), cache_ttl_s=60) as gateway:
        await gateway.events({"content": "Tell"})
        await gateway.events({}, CONTINUE)
        told = await gateway.events({}, CONTINUE)
    assert told[-1]["delivery"] == "token"
    assert told[-1]["full_content"] == "Once upon Once upon a time."


async def test_a_reply_that_was_interrupted_by_a_crash_goes_on_behind_every_position(tmp_path: Path) -> None:
    async with served(tmp_path, parts(FIRST, REST)) as gateway:
        told = frames(await gateway.http.post(STREAM, json={"content": "Tell", "resumable": True}))
        stream_id = told[0][1]["stream_id"]
        store = gateway.assembled.gateway.store
        message = await store.message("local", 2)
        from gateway.contract.exchanges import FinalReply

        lost = FinalReply(2, "interrupted", "interrupted", message.content, "token", "sse", over="ended")
        await store.finish(lost)
        gateway.assembled.gateway.runs.ended.forget(stream_id)
        await gateway.events({}, CONTINUE)
        url = f"{STREAM}/{stream_id}"
        rests = [await gateway.http.get(url, headers={"last-event-id": id}) for id, _ in told[:-1]]
    for (id, _), rest in zip(told, rests, strict=False):
        chars = int(id.partition("-")[2])
        assert joined([event for _, event in frames(rest)]) == "Once upon a time."[chars:]
