"""A reply whose model server fails in the middle is continued by another one, and its end tells where."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.contract.errors import GatewayError, ModelRefused, TransportError, Unreachable, UpstreamFailed
from gateway.contract.events import Delta, Done, Reasoning, ToolCall, TransportEvent, Usage
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest, Turn
from gateway.core.stages.continuation import MAX_SEAMS, Continuation
from gateway.core.stages.order import through
from transports.scripted import ScriptedTransport, Step

REQUEST = ChatRequest("f" * 32, [Turn("user", "Hi")], continue_on_failure=True)
BROKEN = UpstreamFailed("the model server broke off")


class Servers:
    """Each request gets the next of these scripts; the last one again and again."""

    def __init__(self, *scripts: Sequence[Step]) -> None:
        self._scripts = list(scripts)
        self.transport = ScriptedTransport(self._next)
        self.heard: list[TransportEvent] = []

    def _next(self, _: ChatRequest) -> Sequence[Step]:
        return self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]

    async def ask(self, request: ChatRequest = REQUEST, *, by_default: bool = False) -> Done:
        async with asyncio.timeout(60):
            stages = [Continuation(by_default=by_default)]
            return await through(stages, self.transport.answer)(request, self.heard.extend)

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.heard if isinstance(event, Delta))

    @property
    def asked(self) -> list[ChatRequest]:
        return self.transport.seen_requests


async def test_another_one_goes_on_from_the_text_so_far() -> None:
    servers = Servers(
        [[Delta("one ")], [Delta("two ")], BROKEN], [[Delta("three")], [Usage(5, 1, 6), Done("stop", "tiny")]]
    )
    done = await servers.ask()
    assert servers.text == "one two three"
    assert done == Done("stop", "tiny", continued=(8,))
    first, second = servers.asked
    assert first == REQUEST
    assert second.turns == [*REQUEST.turns, Turn("assistant", "one two ")]
    assert second.deadline_s <= first.deadline_s


async def test_a_whole_answer_loses_what_it_repeats() -> None:
    servers = Servers([[Delta("one ")], BROKEN], [[Done("stop", whole=[Delta("one two"), Usage(1, 2, 3)])]])
    done = await servers.ask()
    assert (servers.text, done) == ("one two", Done("stop", continued=(4,)))
    assert servers.heard[-1] == Usage(1, 2, 3)


@pytest.mark.parametrize("wanted", [None, False])
async def test_it_is_off_by_default(wanted: bool | None) -> None:
    servers = Servers([[Delta("one ")], BROKEN])
    with pytest.raises(UpstreamFailed):
        await servers.ask(replace(REQUEST, continue_on_failure=wanted))
    assert len(servers.asked) == 1


@pytest.mark.parametrize("wanted", [None, True])
async def test_a_setting_turns_it_on(wanted: bool | None) -> None:
    servers = Servers([[Delta("one ")], BROKEN], [[Done("stop")]])
    request = replace(REQUEST, continue_on_failure=wanted)
    assert (await servers.ask(request, by_default=True)).continued == (4,)


async def test_if_nobody_can_go_on_the_first_failure_is_the_error() -> None:
    servers = Servers([[Delta("one ")], BROKEN], [Unreachable("nobody there")])
    with pytest.raises(UpstreamFailed) as raised:
        await servers.ask()
    assert raised.value is BROKEN
    assert servers.text == "one "
    assert len(servers.asked) == 2


async def test_it_goes_on_a_few_times_only() -> None:
    servers = Servers([[Delta("x")], BROKEN])
    with pytest.raises(UpstreamFailed):
        await servers.ask()
    assert servers.text == "x" * (MAX_SEAMS + 1)


async def test_servers_that_broke_off_after_the_request_count_as_with_every_retry() -> None:
    def broke_off() -> TransportError:
        error = UpstreamFailed("gone")
        error.broke_off = 1
        return error

    servers = Servers([[Delta("x")], broke_off()], [[Delta("y")], broke_off()], [[Done("stop")]])
    with pytest.raises(UpstreamFailed, match="took this request") as raised:
        await servers.ask()
    assert not raised.value.retryable
    assert len(servers.asked) == 2


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([], BROKEN),
        ([[Reasoning("hm")]], BROKEN),
        ([[Delta("I call "), ToolCall("1", "f", "{}")]], BROKEN),
        ([[Delta("one")]], ModelRefused("no")),
    ],
    ids=["nothing yet", "only reasoning", "a tool call", "the request is at fault"],
)
async def test_what_cannot_be_continued_fails_as_without_it(steps: list[Step], error: GatewayError) -> None:
    servers = Servers([*steps, error])
    with pytest.raises(type(error)) as raised:
        await servers.ask()
    assert raised.value is error
    assert len(servers.asked) == 1


@pytest.mark.parametrize(
    "request_",
    [replace(REQUEST, raw=True), replace(REQUEST, turns=[*REQUEST.turns, Turn("assistant", "so far")])],
    ids=["a raw prompt", "a stored reply that goes on"],
)
async def test_requests_that_are_a_continuation_already_pass(request_: ChatRequest) -> None:
    servers = Servers([[Delta("one")], BROKEN])
    with pytest.raises(UpstreamFailed):
        await servers.ask(request_)
    assert len(servers.asked) == 1


async def test_a_stop_is_no_failure() -> None:
    servers = Servers([[Delta("one")], BROKEN])
    heard = asyncio.Event()

    async def fails_when_cancelled(request: ChatRequest, hear: object) -> Done:
        servers.transport.seen_requests.append(request)
        hear([Delta("one")])  # type: ignore[operator]
        heard.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise BROKEN
        raise AssertionError

    async with asyncio.timeout(60):
        task = asyncio.ensure_future(
            through([Continuation(by_default=True)], fails_when_cancelled)(REQUEST, lambda _: None)
        )
        await heard.wait()
        task.cancel()
        with pytest.raises(UpstreamFailed):
            await task
    assert len(servers.asked) == 1
