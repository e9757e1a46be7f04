"""Replies that somebody reads over HTTP, shown to a device as well."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.contract.errors import NotFound, UpstreamFailed
from gateway.contract.events import Delta, Done
from gateway.contract.exchanges import IdempotencyClaim
from gateway.contract.requests import ChatRequest
from gateway.core.question import Question
from gateway.store.sql_store import SqlStore
from tests.core.house import USER
from tests.transports.mqtt.device_scene import Scene, device_at, scene
from transports.scripted import Step, tokens


def half(_: ChatRequest) -> Sequence[Step]:
    return [[Delta("half")]]


async def ask(at: Scene, **more: object) -> str:
    """As `POST /messages/stream` does."""
    await at.mirrors.check(USER, at.device.name)
    question = Question(USER, "Hi", **more)  # type: ignore[arg-type]
    stream_id = await at.home.conversations.ask(question)
    at.mirrors.show(at.device.name, stream_id, USER)
    return stream_id


async def heard_of(at: Scene) -> None:
    at.device.status("ready")
    await asyncio.sleep(0)


async def test_a_mirrored_reply_is_told_as_an_answer_that_says_so(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: tokens("the ", "answer")) as at:
        await heard_of(at)
        stream_id = await ask(at)
        end = await at.device.until("end")
        (session,) = await at.home.store.sessions(USER)
    heard = at.device.heard
    assert {(frame["id"], frame["mirror"]) for frame in heard} == {(stream_id, True)}
    assert [frame["seq"] for frame in heard] == list(range(len(heard)))
    assert (heard[0]["type"], heard[0]["session"]) == ("accept", session.key)
    assert (at.device.text(), end["length"]) == ("the answer", 10)


async def test_a_mirrored_reply_that_fails_ends_with_its_text_and_the_error(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: [[Delta("half")], UpstreamFailed("broke")]) as at:
        await heard_of(at)
        await ask(at)
        error = await at.device.until("error")
    assert at.device.text() == "half"
    assert (error["code"], error["mirror"]) == ("upstream_error", True)


async def test_a_mirror_keeps_no_reply_alive(tmp_path: Path) -> None:
    async with scene(tmp_path, half) as at:
        await heard_of(at)
        run = at.home.runs.find(await ask(at), USER)
        with at.home.runs.following(run) as reader:
            await reader.read()
        await run.ended.wait()
        end = await at.device.until("end")
    assert end["reason"] == "abandoned"


async def test_a_mirror_that_takes_nothing_slows_no_reply(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: tokens(*"a long answer" * 100), grace_s=0.01) as at:
        await heard_of(at)
        at.link.stuck = True
        run = at.home.runs.find(await ask(at), USER)
        with at.home.runs.following(run) as reader:
            while await reader.read() is not None:
                pass
        await run.ended.wait()
        at.link.lose_connection()
        await at.ingress.idle()
    assert at.device.heard == []


async def test_asked_twice_with_one_key_a_reply_is_mirrored_once(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    claim = IdempotencyClaim("k", "f")
    async with scene(tmp_path, lambda _: [[Delta("a")], go_on.wait, [Done("stop")]]) as at:
        await heard_of(at)
        first = await ask(at, idempotency=claim, resumable=True)
        await at.device.until("chunk")
        assert await ask(at, idempotency=claim, resumable=True) == first
        go_on.set()
        await at.device.until("end")
        await at.settled()
        assert await ask(at, idempotency=claim, resumable=True) == first
        await at.settled()
    assert at.device.types() == ["accept", "chunk", "end"]


async def test_a_lost_device_is_no_reason_to_end_what_it_mirrors(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with scene(tmp_path, lambda _: [[Delta("a")], go_on.wait, [Done("stop")]], grace_s=0.01) as at:
        await heard_of(at)
        run = at.home.runs.find(await ask(at, resumable=True), USER)
        await at.device.until("chunk")
        at.device.status("lost")
        await asyncio.sleep(0)
        go_on.set()
        await run.ended.wait()
        assert run.outcome is not None
        assert run.outcome.reason == "stop"


async def test_a_device_cannot_cancel_what_it_mirrors(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with scene(tmp_path, lambda _: [[Delta("a")], go_on.wait, [Done("stop")]]) as at:
        await heard_of(at)
        stream_id = await ask(at)
        await at.device.until("chunk")
        at.device.cancel(stream_id)
        await asyncio.sleep(0)
        go_on.set()
        assert (await at.device.until("end"))["reason"] == "stop"


@pytest.mark.parametrize("sign", ["status", "chat"])
async def test_a_device_that_was_heard_may_mirror(tmp_path: Path, sign: str) -> None:
    async with scene(tmp_path, lambda _: tokens("yes")) as at:
        other = device_at(at.broker, "robot-2")
        with pytest.raises(NotFound):
            await at.mirrors.check(USER, "robot-2")
        other.status("ready") if sign == "status" else other.chat("c1", "Hi")
        await asyncio.sleep(0)
        await at.mirrors.check(USER, "robot-2")


async def test_a_registered_device_may_mirror_its_users_replies_only(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: tokens("yes")) as at:
        assert isinstance(at.home.store, SqlStore)
        await at.home.store.add_device("silent", USER)
        await at.home.store.add_device(at.device.name, "anna")
        await heard_of(at)
        await at.mirrors.check(USER, "silent")
        with pytest.raises(NotFound):
            await at.mirrors.check(USER, at.device.name)
        await at.mirrors.check("anna", at.device.name)


async def test_once_keys_exist_only_a_registered_device_may_mirror_and_chat(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: tokens("yes"), keys_exist=True) as at:
        at.device.chat("c1", "Hi")
        error = await at.device.until("error")
        assert (error["code"], error["retryable"]) == ("forbidden", False)
        with pytest.raises(NotFound):
            await at.mirrors.check(USER, at.device.name)
        assert isinstance(at.home.store, SqlStore)
        await at.home.store.add_device(at.device.name, "anna")
        at.device.chat("c1", "Hi")
        await at.device.until("end")
        assert len(await at.home.store.sessions("anna")) == 1
        await at.mirrors.check("anna", at.device.name)
