"""Every stage lets through what it does not answer itself: events, the stop, errors and back-pressure."""

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from gateway.contract.errors import GatewayError, ModelRefused, TimedOut, Unreachable
from gateway.contract.events import Delta, Done, Progress, Reasoning, ToolCall, TransportEvent, Usage
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest, Turn
from gateway.contract.stage import Stage
from gateway.core.stages.order import through
from tests.contract.registry import STAGE_RIGS, StageFactory
from transports.scripted import ScriptedTransport, Step

REQUEST = ChatRequest("f" * 32, [Turn("user", "Hi")], model="tiny", session="s", user="ann")
EVENTS: list[list[TransportEvent]] = [
    [Progress("prompt", processed=1, total=2)],
    [Reasoning("hm")],
    [Delta("one "), Delta("two")],
    [ToolCall("1", "f", "{}"), Usage(1, 2, 3, 4.0)],
]


@pytest.fixture(params=STAGE_RIGS, ids=lambda factory: factory.__name__)
def stage(request: pytest.FixtureRequest) -> Stage:
    factory: StageFactory = request.param
    return factory()


async def answered(stage: Stage, *steps: Step) -> tuple[list[TransportEvent], Done, list[ChatRequest]]:
    transport = ScriptedTransport(lambda _: steps)
    heard: list[TransportEvent] = []
    async with asyncio.timeout(60):
        done = await through([stage], transport.answer)(REQUEST, lambda events: heard.extend(events))
    return heard, done, transport.seen_requests


async def test_what_the_transport_says_is_heard_as_it_was_said(stage: Stage) -> None:
    end = Done("tool_calls", "tiny")
    heard, done, asked = await answered(stage, *EVENTS, [end])
    assert heard == [event for batch in EVENTS for event in batch]
    assert done == end
    assert asked == [REQUEST]


async def test_a_reply_in_one_piece_stays_whole(stage: Stage) -> None:
    end = Done("stop", "tiny", whole=[Delta("all of it"), Usage(1, 2, 3)])
    heard, done, _ = await answered(stage, [end])
    assert (heard, done) == ([], end)


async def test_it_expects_nothing_of_a_first_question(stage: Stage) -> None:
    assert stage.expects(REQUEST) is None


async def test_cancelling_reaches_the_transport(stage: Stage) -> None:
    heard = asyncio.Event()
    transport = ScriptedTransport(lambda _: [[Delta("a")]])
    ask = through([stage], transport.answer)
    async with asyncio.timeout(60):
        asked = asyncio.ensure_future(ask(REQUEST, lambda _: heard.set()))
        await heard.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await transport.idle()


@pytest.mark.parametrize("error", [Unreachable("away"), TimedOut("late"), ModelRefused("no")])
@pytest.mark.parametrize("before", [[], [[Delta("a")]]], ids=["at once", "in the middle"])
async def test_an_error_passes_unchanged(stage: Stage, error: GatewayError, before: list[Step]) -> None:
    with pytest.raises(type(error)) as raised:
        await answered(stage, *before, error)
    assert raised.value is error


async def test_an_error_of_the_ear_passes_unchanged(stage: Stage) -> None:
    error = Unreachable("nobody listens")

    def broken(_: Sequence[TransportEvent]) -> None:
        raise error

    with pytest.raises(Unreachable) as raised:
        await through([stage], ScriptedTransport(lambda _: EVENTS).answer)(REQUEST, broken)
    assert raised.value is error


async def test_the_ears_back_pressure_reaches_the_transport(stage: Stage) -> None:
    heard: asyncio.Queue[Sequence[TransportEvent]] = asyncio.Queue()
    room = asyncio.Event()

    def full(events: Sequence[TransportEvent]) -> Awaitable[object]:
        heard.put_nowait(events)
        return room.wait()

    steps: list[Step] = [[Delta("a")], [Delta("b")], [Done("stop")]]
    ask = through([stage], ScriptedTransport(lambda _: steps).answer)
    async with asyncio.timeout(60):
        asked = asyncio.ensure_future(ask(REQUEST, full))  # type: ignore[arg-type]
        assert await heard.get() == [Delta("a")]
        for _ in range(5):
            await asyncio.sleep(0)
        assert heard.empty(), "the transport waits"
        room.set()
        await asked
    assert heard.get_nowait() == [Delta("b")]


async def test_two_at_once_never_mix(stage: Stage) -> None:
    def script(request: ChatRequest) -> list[Step]:
        return [*([Delta(character)] for character in str(request.turns[0].content)), [Done("stop")]]

    ask = through([stage], ScriptedTransport(script).answer)

    async def text_of(question: str) -> str:
        heard: list[TransportEvent] = []
        request = replace(REQUEST, id=question, turns=[Turn("user", question)])
        done = await ask(request, lambda events: heard.extend(events))
        return "".join(event.text for event in [*heard, *(done.whole or ())] if isinstance(event, Delta))

    questions = ["first", "second", "third", "first"]
    assert await asyncio.gather(*map(text_of, questions)) == questions
    assert [await text_of(question) for question in questions] == questions


async def test_stages_are_passed_in_their_order(stage: Stage) -> None:
    passed: list[str] = []

    class Named(Stage):
        def __init__(self, name: str) -> None:
            self.name = name

        async def answer(self, request: ChatRequest, hear, next) -> Done:  # type: ignore[no-untyped-def]
            passed.append(self.name)
            done = await next(request, hear)
            passed.append(f"/{self.name}")
            assert isinstance(done, Done)
            return done

    transport = ScriptedTransport(lambda _: [[Done("stop")]])
    await through([Named("outer"), stage, Named("inner")], transport.answer)(REQUEST, lambda _: None)
    assert passed == ["outer", "inner", "/inner", "/outer"]
