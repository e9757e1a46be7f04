"""The turns of a session fit strict templates: a user's first, then alternating roles."""

import asyncio
from pathlib import Path

import pytest

from gateway.contract.errors import ContextExceeded, GatewayError, ModelRefused, Unreachable
from gateway.contract.events import Done
from gateway.contract.requests import ChatRequest, Turn
from gateway.core.limits import Limits
from tests.core.house import USER, House, house
from transports.scripted import Script, Step, tokens


def failing_at(question: str, error: GatewayError) -> Script:
    def script(request: ChatRequest) -> list[Step]:
        asked = str(request.turns[-1].content)
        return [error] if asked.endswith(question) else tokens(f"to {asked}")

    return script


def asked(home: House) -> list[tuple[str, object]]:
    return [(turn.role, turn.content) for turn in home.transport.seen_requests[-1].turns]


async def test_a_question_whose_reply_failed_is_one_turn_with_the_next_one(tmp_path: Path) -> None:
    async with house(tmp_path, failing_at("two", Unreachable("It is away."))) as home:
        for question in ("one", "two", "three"):
            await home.answer(question, None if question == "one" else 1)

    assert asked(home) == [("user", "one"), ("assistant", "to one"), ("user", "two\nthree")]


@pytest.mark.parametrize("error", [ModelRefused("Failed to load image"), ContextExceeded("It is too long.")])
async def test_what_the_model_refused_is_not_sent_again(tmp_path: Path, error: GatewayError) -> None:
    async with house(tmp_path, failing_at("two", error)) as home:
        for question in ("one", "two", "three"):
            await home.answer(question, None if question == "one" else 1)

    assert asked(home) == [("user", "one"), ("assistant", "to one"), ("user", "three")]


async def test_a_history_does_not_begin_with_a_reply(tmp_path: Path) -> None:
    script = failing_at("none", Unreachable("It is away."))
    async with house(tmp_path, script, limits=Limits(deadline_s=5, history_max_chars=60)) as home:
        await home.answer("x" * 50)
        await home.answer("two", 1)
        assert asked(home) == [("user", "two")]
        await home.answer("three", 1)

    assert asked(home) == [("user", "two"), ("assistant", "to two"), ("user", "three")]


async def test_the_older_half_of_a_session_that_is_too_long_for_the_model_is_left_out(tmp_path: Path) -> None:
    def script(request: ChatRequest) -> list[Step]:
        is_long = sum(len(str(turn.content)) for turn in request.turns) > 60
        return [ContextExceeded("It is too long.")] if is_long else tokens("y" * 10)

    async with house(tmp_path, script) as home:
        for number in range(5):
            await home.answer(f"{number}" * 5, None if number == 0 else 1, system_prompt="Be brief.")
        kept = asked(home)
        too_long = await home.answer("x" * 100, 1, system_prompt="Be brief.")
        alone = asked(home)

    assert kept == [
        *(("system", "Be brief."), ("user", "22222"), ("assistant", "y" * 10)),
        *(("user", "33333"), ("assistant", "y" * 10), ("user", "44444")),
    ]
    assert too_long[-1].code == "context_length_exceeded"  # type: ignore[union-attr]
    assert alone == [("system", "Be brief."), ("user", "x" * 100)]


async def test_a_shorter_request_has_a_conversation_id_of_its_own(
    tmp_path: Path,
) -> None:
    """A worker takes each id once: it would ignore the request."""

    def script(request: ChatRequest) -> list[Step]:
        return [ContextExceeded("It is too long.")] if len(request.turns) > 3 else tokens("yes")

    async with house(tmp_path, script) as home, asyncio.TaskGroup() as tasks:
        storing = tasks.create_task(home.checkpoints.run())
        for number in range(3):
            await home.answer(f"{number}", None if number == 0 else 1, resumable=True)
        storing.cancel()
    kept = [request.reattachable for request in home.transport.seen_requests]
    ids = [each.conversation_id for each in kept if each is not None]
    assert (len(kept), len(set(ids))) == (4, 4)


async def test_a_question_without_a_reply_is_left_out_before_the_next_one_is_refused(tmp_path: Path) -> None:
    def script(request: ChatRequest) -> list[Step]:
        question = str(request.turns[-1].content)
        return [ContextExceeded("It is too long.")] if len(question) > 60 else [[Done("stop")]]

    async with house(tmp_path, script) as home:
        await home.answer("x" * 50)
        await home.answer("y" * 50, 1)

    assert asked(home) == [("user", "y" * 50)]


async def test_a_conversation_that_the_client_sends_is_not_shortened(tmp_path: Path) -> None:
    turns = [Turn("user", "one"), Turn("assistant", "1"), Turn("user", "two")]
    async with house(tmp_path, lambda _: [ContextExceeded("It is too long.")]) as home:
        await home.answer("two", turns=turns)

    assert len(home.transport.seen_requests) == 1


async def test_the_earlier_turns_of_a_form_alternate_too(tmp_path: Path) -> None:
    async with house(tmp_path, failing_at("one", Unreachable("It is away."))) as home:
        await home.answer("one")
        await home.answer("two", 1)
        turns = await home.conversations.history.earlier(USER, 1)

    assert turns == [Turn("user", "one\ntwo"), Turn("assistant", "to one\ntwo")]
