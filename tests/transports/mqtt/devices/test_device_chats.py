"""Devices ask over MQTT and hear the answer; the core behind the broker is the real one."""

import asyncio
from pathlib import Path

import pytest

from gateway.contract.authors import Author
from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import Delta, Done, Progress, Reasoning, ToolCall, Usage
from gateway.contract.requests import ChatRequest
from gateway.contract.room_events import MessagePosted
from tests.core.house import USER
from tests.transports.mqtt.device_scene import MAX_CONTENT_CHARS, Slow, device_at, scene
from transports.scripted import Script, Step, tokens, whole

TEXT = "Grüße, 日本語, 👩‍👩‍👧‍👦 and \u2028."


def says(*steps: Step) -> Script:
    return lambda _: steps


async def test_a_chat_is_answered_by_accept_chunks_and_end(tmp_path: Path) -> None:
    script = says(*([Delta(char)] for char in TEXT), [Usage(3, 2, 5), Done("length")])
    async with scene(tmp_path, script) as at:
        at.device.chat("c1", "Hi")
        end = await at.device.until("end")
        (session,) = await at.home.store.sessions(USER)
    heard = at.device.heard
    assert heard[0] == {"type": "accept", "id": "c1", "seq": 0, "session": session.key}
    assert at.device.text() == TEXT
    assert [frame["seq"] for frame in heard] == list(range(len(heard)))
    assert end == {
        "type": "end",
        "id": "c1",
        "seq": len(heard) - 1,
        "reason": "length",
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        "length": len(TEXT),
    }


async def test_reasoning_tool_calls_and_progress_are_told_too(tmp_path: Path) -> None:
    call = ToolCall("t1", "look", '{"at":"river"}')
    script = says([Progress("prompt", processed=1, total=2)], [Reasoning("hm")], [call], [Done("tool_calls")])
    async with scene(tmp_path, script) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("end")
    assert at.device.types() == ["accept", "progress", "reasoning", "tool_call", "end"]
    assert at.device.heard[3]["call"] == {"id": "t1", "name": "look", "arguments": '{"at":"river"}'}


async def test_the_first_token_goes_out_alone_and_the_others_together(tmp_path: Path) -> None:
    first_heard = asyncio.Event()

    async def let_it_be_written() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    script = says(
        [Delta("one ")],
        first_heard.wait,
        [Delta("two ")],
        let_it_be_written,
        [Delta("three")],
        [Done("stop")],
    )
    async with scene(tmp_path, script, coalesce_s=60) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("chunk")
        first_heard.set()
        await at.device.until("end")
    chunks = [frame["text"] for frame in at.device.heard if frame["type"] == "chunk"]
    assert chunks == ["one ", "two three"]


async def test_a_device_that_waits_hears_that_its_answer_is_alive(tmp_path: Path) -> None:
    script = Slow()
    async with scene(tmp_path, script, idle_s=0.03) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("alive", count=2)
        script.go_on.set()
        await at.device.until("end")
    told = [type for type in at.device.types() if type != "alive"]  # one may come before the first text
    assert (told[:2], told[-1], at.device.text()) == (["accept", "chunk"], "end", "one two three")
    assert [frame["seq"] for frame in at.device.heard] == list(range(len(at.device.heard)))


async def test_stream_false_is_answered_by_one_reply_and_nothing_else(tmp_path: Path) -> None:
    call = ToolCall("t1", "look", "{}")
    script = says(
        [Progress("prompt", processed=1, total=2)],
        [Reasoning("hm")],
        [Delta("a")],
        [call],
        [Delta("b")],
        [Done("stop")],
    )
    async with scene(tmp_path, script) as at:
        at.device.chat("c1", "Hi", stream=False)
        await at.device.until("reply")
        await at.settled()
    assert at.device.heard == [
        {"type": "reply", "id": "c1", "text": "ab", "reason": "stop"},
    ]


async def test_a_failed_reply_of_stream_false_is_one_error(tmp_path: Path) -> None:
    async with scene(tmp_path, says([Delta("half")], UpstreamFailed("the model broke"))) as at:
        at.device.chat("c1", "Hi", stream=False)
        error = await at.device.until("error")
        await at.settled()
    assert at.device.heard == [error]
    assert error == {
        "type": "error",
        "id": "c1",
        "code": "upstream_error",
        "message": "the model broke",
        "retryable": True,
    }


async def test_partial_text_comes_before_the_error(tmp_path: Path) -> None:
    async with scene(tmp_path, says([Delta("ha")], [Delta("lf")], UpstreamFailed("broke"))) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("error")
        kept = (await at.home.store.messages(USER, 1))[1]
    assert at.device.text() == "half"
    assert at.device.types()[-1] == "error"
    assert (kept.status, kept.content) == ("failed", "half")


async def test_a_whole_reply_is_not_paced_for_a_device(tmp_path: Path) -> None:
    async def never(_: float) -> None:
        raise AssertionError("paced")

    async with scene(tmp_path, lambda _: whole("x" * 500), sleep=never) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("end")
    assert at.device.types() == ["accept", "chunk", "end"]


async def test_a_chat_is_kept_as_any_other_message(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: tokens("Good day")) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("end")
        question, reply = await at.home.store.messages(USER, 1)
    assert (question.content, reply.content, reply.status) == ("Hi", "Good day", "complete")


async def test_no_session_goes_on_with_the_devices_latest_and_its_history(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: tokens("yes")) as at:
        for id, text in (("c1", "one"), ("c2", "two")):
            at.device.chat(id, text, session=None)
            await at.device.until("end", id=id)
        other = device_at(at.broker, "robot-2")
        other.chat("c1", "three")
        await other.until("end")
        asked = at.home.transport.seen_requests[1]
        sessions = await at.home.store.sessions(USER)
    assert [turn.content for turn in asked.turns] == ["one", "yes", "two"]
    assert len(sessions) == 2


async def test_two_chats_at_the_same_moment_land_in_one_session(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: tokens("yes")) as at:
        for id in ("c1", "c2", "c3"):
            at.device.chat(id, "Hi")
        await at.device.until("end", count=3)
        (session,) = await at.home.store.sessions(USER)
        kept = await at.home.store.messages(USER, session.id)
    assert len(kept) == 6


async def test_a_named_session_is_gone_on_with(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: tokens("yes")) as at:
        started = await at.home.store.create_session(USER, "begun in a browser")
        at.device.chat("c1", "Hi", session=started.key)
        accept = await at.device.until("accept")
        await at.device.until("end")
        at.device.chat("c2", "And?")
        again = await at.device.until("accept", id="c2")
    assert accept["session"] == again["session"] == started.key


@pytest.mark.parametrize("whose", ["anna", None])
async def test_a_session_that_is_not_the_devices_users_is_not_found(
    tmp_path: Path, whose: str | None
) -> None:
    async with scene(tmp_path, lambda _: tokens("yes")) as at:
        key = "none" if whose is None else (await at.home.store.create_session(whose, "")).key
        at.device.chat("c1", "Hi", session=key)
        error = await at.device.until("error")
    assert (error["code"], error["retryable"]) == ("not_found", False)
    assert at.device.types() == ["error"]


@pytest.mark.parametrize("text", ["", " \n", "x" * (MAX_CONTENT_CHARS + 1)])
async def test_a_text_that_cannot_be_asked_is_an_error_with_the_chats_id(tmp_path: Path, text: str) -> None:
    async with scene(tmp_path, lambda _: tokens("yes")) as at:
        at.device.chat("c1", text)
        error = await at.device.until("error")
        assert (error["id"], error["code"]) == ("c1", "invalid")
        assert await at.home.store.sessions(USER) == []


async def test_a_cancel_ends_the_run_with_user_stop_and_its_text(tmp_path: Path) -> None:
    async with scene(tmp_path, says([Delta("half")])) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("chunk")
        at.device.cancel("c1")
        at.device.cancel("c1")
        end = await at.device.until("end")
        await at.settled()
        kept = (await at.home.store.messages(USER, 1))[1]
    assert at.device.types() == ["accept", "chunk", "end"]
    assert (end["reason"], end["length"]) == ("user_stop", 4)
    assert (kept.status, kept.reason, kept.content) == ("cancelled", "user_stop", "half")


async def test_a_cancel_that_comes_before_the_run_has_begun_ends_it_too(tmp_path: Path) -> None:
    async with scene(tmp_path, says([Delta("half")])) as at:
        at.device.chat("c1", "Hi")
        at.device.cancel("c1")
        end = await at.device.until("end")
    assert end["reason"] == "user_stop"


async def test_a_cancelled_chat_of_stream_false_is_one_reply(tmp_path: Path) -> None:
    said = asyncio.Event()

    async def now() -> None:
        said.set()

    async with scene(tmp_path, says([Delta("half")], now)) as at:
        at.device.chat("c1", "Hi", stream=False)
        await said.wait()
        at.device.cancel("c1")
        reply = await at.device.until("reply")
    assert (reply["text"], reply["reason"]) == ("half", "user_stop")


async def test_a_cancel_of_somebody_elses_or_an_unknown_chat_is_ignored(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with scene(tmp_path, says([Delta("a")], go_on.wait, [Done("stop")])) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("chunk")
        device_at(at.broker, "robot-2").cancel("c1")
        at.device.cancel("c2")
        await asyncio.sleep(0)
        go_on.set()
        end = await at.device.until("end")
    assert end["reason"] == "stop"


async def test_a_fifth_chat_at_once_is_refused_until_one_has_ended(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    async with scene(tmp_path, says([Delta("a")], go_on.wait, [Done("stop")])) as at:
        for number in range(5):
            at.device.chat(f"c{number}", "Hi")
        error = await at.device.until("error")
        go_on.set()
        await at.device.until("end", count=4)
        await at.settled()
        at.device.chat("c4", "Hi")
        await at.device.until("end", id="c4")
    assert (error["id"], error["code"], error["retryable"]) == ("c4", "overloaded", True)


async def test_a_drain_refuses_new_chats_and_lets_the_others_end(tmp_path: Path) -> None:
    async with scene(tmp_path, says([Delta("a")])) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("chunk")
        hurry = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            draining = tasks.create_task(at.home.runs.drain(20, hurry))
            await asyncio.sleep(0)
            at.device.chat("c2", "Hi")
            refused = await at.device.until("error", id="c2")
            hurry.set()
            await draining
        ended = await at.device.until("error", id="c1")
    assert (refused["code"], refused["retryable"]) == ("draining", True)
    assert (ended["code"], ended["retryable"]) == ("draining", True)
    assert at.device.text("c1") == "a"


async def test_a_bug_in_one_chat_is_told_and_touches_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def script(request: ChatRequest) -> list[Step]:
        return tokens("fine")

    async with scene(tmp_path, script) as at:
        ask = at.ingress._ask
        asked = []

        async def break_once(chat: object) -> object:
            asked.append(chat)
            if len(asked) == 1:
                raise ZeroDivisionError
            return await ask(chat)  # type: ignore[arg-type]

        at.ingress._ask = break_once  # type: ignore[assignment]
        at.device.chat("c1", "Hi")
        error = await at.device.until("error")
        at.device.chat("c2", "Hi")
        await at.device.until("end")
    assert (error["id"], error["code"]) == ("c1", "upstream_error")
    assert "chat c1 of device robot-1 failed" in caplog.text


async def test_the_other_tabs_of_the_session_hear_of_it(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: tokens("yes")) as at:
        started = await at.home.store.create_session(USER, "")
        called = asyncio.Semaphore(0)
        with at.home.news.listening(started.id, called.release) as tab:
            at.device.chat("c1", "Hi", session=started.key)
            news = []
            for _ in range(3):
                await called.acquire()
                news.append(tab.take())
        asked, _ = await at.home.store.messages(USER, started.id)
    assert [type(item).__name__ for item in news] == ["MessagePosted", "ReplyStarted", "ReplyEnded"]
    assert isinstance(news[0], MessagePosted)
    assert news[0].author == asked.author == Author("device", "robot-1")
