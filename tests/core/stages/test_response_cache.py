"""The response cache: which questions are the same, which replies are kept, and for how long."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest

from gateway.contract.content import Image, Text
from gateway.contract.errors import Unreachable
from gateway.contract.events import Delta, Done, Progress, Reasoning, ToolCall, Usage
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest, Sampling, Turn
from gateway.core.stages.response_cache import ENTRY_BYTES, ResponseCache
from transports.scripted import ScriptedTransport, Step, tokens

TOOL = {"type": "function", "function": {"name": "f"}}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def question(content: Any = "Hi", **more: Any) -> ChatRequest:
    return replace(ChatRequest(uuid4().hex, [Turn("user", content)], model="tiny", user="ann"), **more)


class Scene:
    """A cache in front of a transport that numbers its replies."""

    def __init__(self, *steps: Step, ttl_s: float = 60, max_bytes: int = 1_000_000) -> None:
        self.now = 0.0
        self.cache = ResponseCache(ttl_s=ttl_s, max_bytes=max_bytes, clock=lambda: self.now)
        self.steps = list(steps)
        self.transport = ScriptedTransport(lambda _: self.steps or self._numbered())

    def _numbered(self) -> Sequence[Step]:
        return tokens("reply ", str(len(self.transport.seen_requests)))

    async def ask(self, request: ChatRequest) -> str | None:
        """The text of a cached reply; None if the transport was asked."""
        expected = self.cache.expects(request)
        asked = len(self.transport.seen_requests)
        async with asyncio.timeout(60):
            done = await self.cache.answer(request, lambda _: None, self.transport.answer)
        assert done.cached == (expected == "cached") == (len(self.transport.seen_requests) == asked)
        if not done.cached:
            return None
        return "".join(event.text for event in done.whole or () if isinstance(event, Delta))


async def test_the_same_question_again_is_answered_with_the_first_reply() -> None:
    scene = Scene()
    assert await scene.ask(question()) is None
    assert await scene.ask(question(session="another", deadline_s=3, trace="t")) == "reply 1"


@pytest.mark.parametrize(
    "other",
    [
        question("Ho"),
        question(user="bob"),
        question(model="large"),
        question(model=None),
        question(turns=[Turn("system", "Be brief"), Turn("user", "Hi")]),
        replace(question(), raw=True),
        question(turns=[Turn("user", "Hi", name="x")]),
        question(turns=[Turn("user", "Hi", reasoning_content="x")]),
        question(sampling=Sampling(temperature=0.5)),
        question(sampling=Sampling(seed=1)),
        question(sampling=Sampling(max_tokens=1)),
        question(sampling=Sampling(stop="x")),
        question(sampling=Sampling(response_format={"type": "json_object"})),
        question(sampling=Sampling(options={"top_k": 1})),
        question((Text("Hi"), Image("image/png", "AAAA"))),
    ],
    ids=lambda request: str(request.turns[-1].content)[:20] + str(request.sampling.as_json())[:30],
)
async def test_whatever_reaches_the_model_or_another_user_makes_another_question(other: ChatRequest) -> None:
    scene = Scene()
    await scene.ask(question())
    assert await scene.ask(other) is None
    assert await scene.ask(other) == "reply 2"
    assert await scene.ask(question()) == "reply 1"


async def test_another_image_is_another_question() -> None:
    scene = Scene()
    await scene.ask(question((Text("Hi"), Image("image/png", "AAAA"))))
    assert await scene.ask(question((Text("Hi"), Image("image/png", "BBBB")))) is None
    assert await scene.ask(question((Text("Hi"), Image("image/png", "AAAA")))) == "reply 1"


async def test_the_order_of_settings_does_not_matter() -> None:
    scene = Scene()
    await scene.ask(question(sampling=Sampling(options={"top_k": 1, "min_p": 0.1})))
    assert await scene.ask(question(sampling=Sampling(options={"min_p": 0.1, "top_k": 1}))) == "reply 1"


async def test_a_cached_reply_has_all_that_was_seen_and_its_usage_without_a_rate() -> None:
    progress = Progress("prompt", processed=1, total=2)
    events: list[Step] = [[progress, Reasoning("a")], [Reasoning("b"), Delta("c")], [Delta("d")]]
    scene = Scene(*events, [Usage(1, 2, 3, 40.0), Done("stop", "tiny-1")])
    await scene.ask(question())
    done = await scene.cache.answer(question(), lambda _: None, scene.transport.answer)
    whole = (Reasoning("ab"), Delta("cd"), Usage(1, 2, 3))
    assert done == Done("stop", "tiny-1", whole=whole, cached=True)


async def test_a_reply_in_one_piece_is_kept_too() -> None:
    scene = Scene([Done("stop", whole=[Delta("all"), Usage(1, 2, 3)])])
    await scene.ask(question())
    assert await scene.ask(question()) == "all"


@pytest.mark.parametrize(
    "request_",
    [
        question(sampling=Sampling(tools=[TOOL])),
        question(sampling=Sampling(options={"tools": [TOOL]})),
        question(sampling=Sampling(options={"functions": [{"name": "f"}]})),
        question(turns=[Turn("user", "Hi"), Turn("assistant", "", tool_calls=[CALL])]),
        question(turns=[Turn("user", "Hi"), Turn("tool", "3", tool_call_id="1")]),
        question("half a pair \ud800"),
        question(user=None),
        question(cache="off"),
    ],
)
async def test_some_questions_are_never_kept(request_: ChatRequest) -> None:
    scene = Scene()
    await scene.ask(request_)
    assert await scene.ask(replace(request_, id=uuid4().hex)) is None
    assert scene.cache.bytes == 0


@pytest.mark.parametrize("reason", ["length", "content_filter", "tool_calls"])
async def test_a_reply_that_was_cut_is_not_kept(reason: Any) -> None:
    scene = Scene([Delta("a")], [Done(reason)])
    await scene.ask(question())
    assert await scene.ask(question()) is None


async def test_a_reply_with_a_tool_call_is_not_kept() -> None:
    scene = Scene([Delta("a"), ToolCall("1", "f", "{}")], [Delta("b")], [Done("stop")])
    await scene.ask(question())
    assert await scene.ask(question()) is None


async def test_a_failed_reply_is_not_kept() -> None:
    scene = Scene([Delta("a")], Unreachable("away"))
    with pytest.raises(Unreachable):
        await scene.ask(question())
    scene.steps = tokens("b")
    assert await scene.ask(question()) is None


async def test_a_stopped_reply_is_not_kept() -> None:
    scene = Scene([Delta("a")])
    heard = asyncio.Event()
    asked = asyncio.ensure_future(
        scene.cache.answer(question(), lambda _: heard.set(), scene.transport.answer)
    )
    await heard.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    scene.steps = tokens("b")
    assert await scene.ask(question()) is None


async def test_refresh_passes_the_kept_reply_by_and_replaces_it() -> None:
    scene = Scene()
    await scene.ask(question())
    assert await scene.ask(question(cache="refresh")) is None
    assert await scene.ask(question()) == "reply 2"


async def test_off_neither_reads_nor_keeps() -> None:
    scene = Scene()
    await scene.ask(question())
    assert await scene.ask(question(cache="off")) is None
    assert await scene.ask(question()) == "reply 1"


async def test_a_reply_is_forgotten_after_its_time() -> None:
    scene = Scene(ttl_s=10)
    await scene.ask(question())
    scene.now = 9.9
    assert await scene.ask(question()) == "reply 1"
    scene.now = 10
    assert await scene.ask(question()) is None
    assert await scene.ask(question()) == "reply 2"


async def test_beyond_its_bytes_the_least_recently_used_reply_goes_first() -> None:
    scene = Scene(max_bytes=2 * (ENTRY_BYTES + 100))
    for content in ("a", "b"):
        await scene.ask(question(content))
    assert await scene.ask(question("a")) == "reply 1"
    await scene.ask(question("c"))
    assert await scene.ask(question("a")) == "reply 1"
    assert await scene.ask(question("b")) is None
    assert scene.cache.bytes <= 2 * (ENTRY_BYTES + 100)


async def test_bytes_are_counted_exactly_whatever_comes_and_goes() -> None:
    scene = Scene(ttl_s=1)
    for number in range(50):
        scene.now += 0.1
        await scene.ask(question(str(number % 7), cache="refresh" if number % 3 else "use"))
    scene.now += 2
    for number in range(7):
        scene.cache.expects(question(str(number)))
    assert scene.cache.bytes == 0


@pytest.mark.parametrize("text", ["x" * 3000, "語" * 1500], ids=["latin", "wide"])
async def test_a_reply_larger_than_the_cache_is_not_kept_and_throws_nothing_out(text: str) -> None:
    scene = Scene(max_bytes=ENTRY_BYTES + 1500)
    await scene.ask(question("a"))
    scene.steps = tokens(text)
    await scene.ask(question("large"))
    assert await scene.ask(question("large")) is None
    assert await scene.ask(question("a")) == "reply 1"


async def test_equal_questions_at_the_same_time_are_each_generated() -> None:
    scene = Scene(lambda: asyncio.sleep(0), *tokens("a"))
    done = await asyncio.gather(*(scene.ask(question()) for _ in range(3)))
    assert done == [None, None, None]
