"""Readers that drop and come back, and many readers of one reply."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.events import Delta, Done, Reasoning, ToolCall
from tests.web.frames import Frame, frames_of
from tests.web.gateway_server import STREAM, Served, served
from transports.scripted import Script, Step, tokens

LOST = "999999999999"


async def resumed(gateway: Served, stream_id: str, after: str | None = None, **more: Any) -> list[Frame]:
    headers = {} if after is None else {"last-event-id": after}
    async with gateway.http.stream("GET", f"{STREAM}/{stream_id}", headers=headers, **more) as response:
        assert response.status_code == 200, await response.aread()
        return [frame async for frame in frames_of(response)]


def text_of(frames: list[Frame]) -> str:
    return "".join(frame.told["content"] for frame in frames if frame.told["type"] == "chunk")


def says(*steps: Step) -> Script:
    return lambda _: steps


async def test_frames_of_a_resumable_stream_have_ids_and_a_url(tmp_path: Path) -> None:
    async with (
        served(tmp_path, says([Delta("Hé")], [Reasoning("hm")], [Delta("llo")], [Done("stop")])) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "Hi", "resumable": True}) as response,
    ):
        frames = [frame async for frame in frames_of(response)]
    assert [frame.id for frame in frames] == ["1-0", "2-2", "3-2r2", "4-5r2", "5-5r2"]
    assert response.headers["sluice-resume-url"] == frames[0].told["resume_url"]
    assert frames[0].told["resume_url"].startswith(f"{STREAM}/{frames[0].told['stream_id']}?ticket=")


async def test_frames_of_other_streams_have_none(tmp_path: Path) -> None:
    async with (
        served(tmp_path, says(*tokens("x"))) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as response,
    ):
        frames = [frame async for frame in frames_of(response)]
    assert {frame.id for frame in frames} == {None}
    assert "resume_url" not in frames[0].told
    assert "sluice-resume-url" not in response.headers


@pytest.mark.parametrize(
    "how",
    [
        {"json": {"resumable": True}},
        {"headers": {"sluice-resumable": "1"}},
        {"headers": {"idempotency-key": "k"}},
    ],
)
async def test_a_dropped_reader_finds_the_reply_going_on(tmp_path: Path, how: dict[str, Any]) -> None:
    hold = asyncio.Event()
    script = says([Delta("one ")], hold.wait, [Delta("two")], [Done("stop")])
    body = {"content": "Hi", **how.get("json", {})}
    async with served(tmp_path, script) as gateway:
        async with gateway.http.stream("POST", STREAM, json=body, headers=how.get("headers")) as response:
            frames = frames_of(response)
            started, chunk = await anext(frames), await anext(frames)
        hold.set()
        rest = await resumed(gateway, started.told["stream_id"], chunk.id)
        (_, kept) = await gateway.messages()
    assert chunk.told["content"] + text_of(rest) == kept["content"] == "one two"
    assert (rest[-1].told["type"], kept["status"]) == ("done", "complete")


async def test_every_position_of_an_ended_reply_gives_exactly_the_rest(tmp_path: Path) -> None:
    steps: list[Step] = [
        [Reasoning("hm")],
        [Delta("🙂")],
        [Delta("é\u2028")],
        [ToolCall("c", "f", "{}")],
        [Delta("z")],
        [Done("tool_calls")],
    ]
    async with (
        served(tmp_path, says(*steps)) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "Hi", "resumable": True}) as response,
    ):
        frames = [frame async for frame in frames_of(response)]
        stream_id = frames[0].told["stream_id"]
        for number, frame in enumerate(frames[:-1], 1):
            rest = await resumed(gateway, stream_id, frame.id)
            assert text_of(rest) == text_of(frames[number:])
            assert [f.told for f in rest if f.told["type"] != "chunk"] == [
                f.told for f in frames[number:] if f.told["type"] != "chunk"
            ]
        again = await resumed(gateway, stream_id)
        nothing = await gateway.http.get(
            f"{STREAM}/{stream_id}", headers={"last-event-id": frames[-1].id or ""}
        )
    assert text_of(again) == text_of(frames)
    assert (nothing.status_code, nothing.content) == (204, b"")


@pytest.mark.parametrize("after", [None, "1-0", "2-0", "3-1", "4-3", "5-3", "6-4"])
async def test_when_only_the_store_knows_it_the_rest_is_the_same(tmp_path: Path, after: str | None) -> None:
    steps: list[Step] = [
        [Reasoning("hm")],
        [Delta("🙂")],
        [Delta("é\u2028")],
        [ToolCall("c", "f", "{}")],
        [Delta("z")],
        [Done("tool_calls")],
    ]
    async with (
        served(tmp_path, says(*steps), journal_ttl_s=0) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "Hi", "resumable": True}) as response,
    ):
        frames = [frame async for frame in frames_of(response)]
        stream_id = frames[0].told["stream_id"]
        rest = await resumed(gateway, stream_id, after)
        chars = 0 if after is None else int(after.split("-")[1])
        seq = 0 if after is None else int(after.split("-")[0])
        end = rest[-1].id or ""
        nothing = await gateway.http.get(f"{STREAM}/{stream_id}", headers={"last-event-id": end})
    assert text_of(rest) == "🙂é\u2028z"[chars:]
    assert [frame.told["type"] for frame in rest].count("tool_call") == (seq < 5)
    assert (rest[0].told["type"] == "metadata") == (after is None)
    assert (rest[-1].told["type"], rest[-1].told["reason"], end) == ("done", "tool_calls", "7-4")
    assert nothing.status_code == 204


async def test_two_readers_hear_the_same(tmp_path: Path) -> None:
    hold = asyncio.Event()
    script = says([Delta("one ")], hold.wait, [Delta("two")], [Done("stop")])
    async with (
        served(tmp_path, script) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as response,
    ):
        frames = frames_of(response)
        started = await anext(frames)
        second = asyncio.ensure_future(resumed(gateway, started.told["stream_id"]))
        await anext(frames)
        hold.set()
        rest = [frame async for frame in frames]
        other = await second
    assert text_of(other) == "one two"
    assert other[-1].told == rest[-1].told


async def test_a_stop_ends_every_reader(tmp_path: Path) -> None:
    async with (
        served(tmp_path, says([Delta("on ")])) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as response,
    ):
        frames = frames_of(response)
        stream_id = (await anext(frames)).told["stream_id"]
        second = gateway.http.stream("GET", f"{STREAM}/{stream_id}")
        async with second as other:
            others = frames_of(other)
            assert (await anext(others)).told["type"] == "metadata"
            await gateway.http.post(f"{STREAM}/{stream_id}/stop")
            ends = [[f async for f in frames][-1].told, [f async for f in others][-1].told]
    assert [end["reason"] for end in ends] == ["user_stop", "user_stop"]


@pytest.mark.parametrize(
    "event_id", ["x", "1", "1-", "99-0", "-1-0", "1-1-1", "1e3-0", "2-999", "1-3", "2-2"]
)
async def test_a_wrong_event_id_is_refused(tmp_path: Path, event_id: str) -> None:
    async with (
        served(tmp_path, says([Delta("on ")])) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "Hi"}) as response,
    ):
        frames = frames_of(response)
        stream_id = (await anext(frames)).told["stream_id"]
        refused = await gateway.http.get(f"{STREAM}/{stream_id}", headers={"last-event-id": event_id})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_event_id")


@pytest.mark.parametrize("name", ["last_event_id", "lastEventId"])
async def test_the_header_wins_over_the_query(tmp_path: Path, name: str) -> None:
    """event-source-polyfill and reconnecting-eventsource send `lastEventId`, and no header."""
    async with (
        served(tmp_path, says(*tokens("a", "b"))) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "Hi", "resumable": True}) as response,
    ):
        frames = [frame async for frame in frames_of(response)]
        stream_id = frames[0].told["stream_id"]
        by_query = await resumed(gateway, stream_id, params={name: "2-1"})
        by_both = await resumed(gateway, stream_id, "3-2", params={name: "2-1"})
    assert (text_of(by_query), text_of(by_both)) == ("b", "")


async def test_an_unknown_stream_is_not_found(tmp_path: Path) -> None:
    async with served(tmp_path, says()) as gateway:
        response = await gateway.http.get(f"{STREAM}/{'0' * 32}")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_a_ticket_lets_in_and_a_forged_one_does_not(tmp_path: Path) -> None:
    async with (
        served(tmp_path, says(*tokens("a"))) as gateway,
        gateway.http.stream("POST", STREAM, json={"content": "Hi", "resumable": True}) as response,
    ):
        frames = [frame async for frame in frames_of(response)]
        url = frames[0].told["resume_url"]
        good = await gateway.http.get(url)
        expiry, user, seal = url.partition("ticket=")[2].split(".")
        forged = [
            f"{int(expiry) + 1}.{user}.{seal}",
            f"{expiry}.{user}x.{seal}",
            f"{expiry}.{user}.{seal[:-1]}",
            f"{expiry}.{user}.é",
            "",
            "...",
        ]
        refused = [
            await gateway.http.get(url.partition("?")[0], params={"ticket": ticket}) for ticket in forged
        ]
        elsewhere = await gateway.http.get(
            f"{STREAM}/{'0' * 32}", params={"ticket": url.partition("ticket=")[2]}
        )
    assert good.status_code == 200
    assert {(answer.status_code, answer.json()["code"]) for answer in [*refused, elsewhere]} == {
        (403, "bad_ticket")
    }


async def test_an_expired_ticket_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path, says(), reply_deadline_s=0.001, journal_ttl_s=0) as gateway:
        (_, _) = await gateway.events({"content": "Hi"})
        tickets = gateway.assembled.gateway.tickets
        ticket = tickets.issue("0" * 32, "local")
        tickets._now = lambda: float(ticket.partition(".")[0]) + 1
        response = await gateway.http.get(f"{STREAM}/{'0' * 32}", params={"ticket": ticket})
    assert (response.status_code, response.json()["detail"]) == (403, "The ticket has expired.")
