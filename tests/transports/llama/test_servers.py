"""Several model servers as one: who answers, who is passed over, and what is told of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import pytest

from gateway.contract.accepted_kinds import ALL_KINDS
from gateway.contract.content import Audio, Image
from gateway.contract.errors import (
    GatewayError,
    Loading,
    Overloaded,
    Unreachable,
    UnsupportedContent,
    UpstreamFailed,
)
from gateway.contract.events import Delta, Done
from gateway.contract.requests import ChatRequest, Turn
from gateway.contract.transport import Abilities, Health, Hear
from tests.reading import events_of, reading
from transports.llama.known_server import SLOTS_UNTOLD
from transports.llama.servers import LlamaServers
from transports.scripted import ScriptedTransport


class Server(ScriptedTransport):
    """A model server that is as well as a test wants it; every reply goes on until it is stopped.

    refusal: raised before an answer begins.
    """

    def __init__(self, *models: str, slots: int | None = 1) -> None:
        super().__init__(lambda _: [[Delta("a")]])
        self._models = models
        self.slots = slots
        self.well = True
        self.late = False
        self.accepts = ALL_KINDS
        self.refusal: GatewayError | None = None
        self.checked = asyncio.Event()

    @property
    def abilities(self) -> Abilities:
        return Abilities(
            health=self.health, models=self.models, slots=self.total_slots, accepts=lambda: self.accepts
        )

    async def health(self) -> Health:
        self.checked.set()
        return Health(self.well, "as told", self.late)

    async def total_slots(self) -> int | None:
        return self.slots

    def models(self) -> Sequence[str]:
        return self._models

    async def answer(self, request: ChatRequest, hear: Hear) -> Done:
        if self.refusal is not None:
            raise self.refusal
        return await super().answer(request, hear)

    @property
    def asked_for(self) -> list[str | None]:
        return [request.model for request in self.seen_requests]


class House:
    def __init__(self, *servers: Server, check_s: float = 60) -> None:
        self.changes: asyncio.Queue[tuple[list[str], int]] = asyncio.Queue()
        named = [(f"http://{number}", server) for number, server in enumerate(servers)]
        self.all = LlamaServers(named, changed=self._changed, check_s=check_s)
        self._open = AsyncExitStack()

    def _changed(self) -> None:
        self.changes.put_nowait((list(self.all.models()), self.all.slots))

    @asynccontextmanager
    async def running(self) -> AsyncIterator["House"]:
        async with asyncio.timeout(30), self.all.running(), self._open:
            yield self

    async def ask(self, model: str | None = None) -> None:
        """Begin a reply that goes on until the house is left."""
        request = ChatRequest(uuid4().hex, [Turn("user", "hi")], model=model)
        stream = await self._open.enter_async_context(reading(self.all, request))
        assert await anext(stream) == [Delta("a")]


async def test_what_is_there_is_known_when_the_block_begins() -> None:
    house = House(Server("a", "b", slots=2), Server("b", "c", slots=3))
    async with house.running():
        assert house.changes.get_nowait() == (["a", "b", "c"], 5)
        assert (await house.all.health()).ok


async def test_a_server_that_is_away_is_told_without() -> None:
    away = Server("a", slots=2)
    away.well = False
    async with House(away, Server("b", slots=3)).running() as house:
        assert (list(house.all.models()), house.all.slots) == (["b"], 3)


async def test_a_server_that_does_not_tell_its_slots_has_some() -> None:
    async with House(Server("a", slots=None)).running() as house:
        assert house.all.slots == SLOTS_UNTOLD


async def test_the_model_picks_the_server_and_the_first_ones_is_the_default() -> None:
    first, second = Server("a", slots=9), Server("b", slots=9)
    async with House(first, second).running() as house:
        for model in ("b", None, "nobody's"):
            await house.ask(model)
        assert (first.asked_for, second.asked_for) == (["a", "a"], ["b"])


async def test_of_two_that_have_the_model_the_one_with_more_room_is_asked() -> None:
    small, large = Server("a", slots=1), Server("b", "a", slots=3)
    async with House(small, large).running() as house:
        for _ in range(4):
            await house.ask()
        assert (small.asked_for, large.asked_for) == (["a"], ["a", "a", "a"])


async def test_the_place_in_the_queue_counts_what_is_open_there() -> None:
    async with House(Server("a", slots=2), Server("b", slots=1)).running() as house:
        places = [house.all.place_in_queue("a")]
        for _ in range(3):
            await house.ask("a")
            places.append(house.all.place_in_queue("a"))
        assert places == [0, 0, 1, 2]
        assert house.all.place_in_queue("b") == 0


async def test_a_reply_that_is_over_or_was_refused_gives_its_slot_back() -> None:
    server = Server("a", slots=1)
    async with House(server).running() as house:
        request = ChatRequest(uuid4().hex, [Turn("user", "hi")])
        async with reading(house.all, request) as batches:
            await anext(batches)
            assert house.all.place_in_queue(None) == 1
        server.refusal = Overloaded("full")
        with pytest.raises(Overloaded):
            await house.ask()
        assert house.all.place_in_queue(None) == 0


@pytest.mark.parametrize("refusal", [Unreachable("gone"), Loading("not yet"), Overloaded("full")])
async def test_who_refuses_before_the_answer_is_passed_over(refusal: GatewayError) -> None:
    first, second = Server("a", slots=2), Server("a", slots=1)
    first.refusal = refusal
    async with House(first, second).running() as house:
        await house.ask()
        assert second.asked_for == ["a"]
        second.refusal = Overloaded("full too")
        with pytest.raises(Overloaded, match="full too"):
            await house.ask()


async def test_what_the_model_itself_did_wrong_is_not_asked_of_another() -> None:
    first, second = Server("a", slots=2), Server("a", slots=1)
    first.refusal = UpstreamFailed("broke")
    async with House(first, second).running() as house:
        with pytest.raises(UpstreamFailed):
            await house.ask()
        assert second.asked_for == []


async def test_a_refused_request_has_the_server_looked_at_at_once() -> None:
    server = Server("a")
    async with House(server).running() as house:
        await house.changes.get()
        server.well = False
        server.refusal = Unreachable("gone")
        with pytest.raises(Unreachable):
            await house.ask()
        assert await house.changes.get() == ([], 0)


async def test_a_server_that_comes_back_is_asked_for_its_slots_again() -> None:
    server = Server("a", slots=2)
    async with House(server, check_s=0.001).running() as house:
        assert await house.changes.get() == (["a"], 2)
        server.well = False
        assert await house.changes.get() == ([], 0)
        server.well, server.slots = True, 5
        assert await house.changes.get() == (["a"], 5)


async def test_a_model_whose_server_is_away_is_not_served_by_another_model() -> None:
    has_it, other = Server("a"), Server("b")
    async with House(has_it, other, check_s=0.001).running() as house:
        await house.changes.get()
        has_it.well = False
        await house.changes.get()
        with pytest.raises(Unreachable) as refused:
            await house.ask("a")
        assert refused.value.retryable
        await house.ask()
        assert other.asked_for == ["b"], "the default is the first one's of those that are well"


async def test_a_servers_going_and_coming_is_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "sluice")
    server = Server("a")
    server.well = False
    async with House(server, check_s=0.001).running() as house:
        for _ in range(5):
            server.checked.clear()
            await server.checked.wait()
        server.well = True
        await house.changes.get()
        await house.changes.get()
    assert [record.getMessage() for record in caplog.records] == [
        "http://0 is away: as told",
        "http://0 is ready; slots: 1; models: a",
    ]


def broke_off() -> UpstreamFailed:
    error = UpstreamFailed("the model server hung up before it answered")
    error.broke_off = 1
    return error


class Killed(Server):
    """Takes every request whole, and dies of it."""

    async def answer(self, request: ChatRequest, hear: Hear) -> Done:
        self.seen_requests.append(request)
        raise broke_off()


class Breaks(Server):
    """Breaks off after its first token. may_check: a health check waits for it."""

    def __init__(self, *models: str, slots: int) -> None:
        super().__init__(*models, slots=slots)
        self.may_check = asyncio.Event()
        self.may_check.set()

    async def health(self) -> Health:
        await self.may_check.wait()
        return await super().health()

    async def answer(self, request: ChatRequest, hear: Hear) -> Done:
        hear([Delta("a")])
        raise broke_off()


async def test_a_request_that_two_servers_broke_off_over_is_asked_of_no_third() -> None:
    servers = [Killed("a") for _ in range(4)]
    async with House(*servers).running() as house:
        with pytest.raises(UpstreamFailed, match="2 model servers broke off") as failed:
            await house.ask()
    assert [len(server.seen_requests) for server in servers] == [1, 1, 0, 0]
    assert not failed.value.retryable


async def test_a_request_over_which_a_server_broke_off_elsewhere_is_asked_of_one_more() -> None:
    servers = [Killed("a") for _ in range(4)]
    async with House(*servers).running() as house:
        with pytest.raises(UpstreamFailed, match="2 model servers broke off"):
            await events_of(house.all, ChatRequest(uuid4().hex, [Turn("user", "hi")], broke_off=1))
    assert [len(server.seen_requests) for server in servers] == [1, 0, 0, 0]


async def test_where_a_reply_broke_off_in_its_middle_is_chosen_last_until_it_was_checked() -> None:
    dying, other = Breaks("a", slots=9), Server("a", slots=1)
    async with House(dying, other).running() as house:
        dying.may_check.clear()
        with pytest.raises(UpstreamFailed):
            await events_of(house.all, ChatRequest(uuid4().hex, [Turn("user", "hi")]))
        await house.ask()
        dying.may_check.set()
    assert len(other.seen_requests) == 1


async def test_the_second_server_may_answer_a_suspect() -> None:
    killed, well = Killed("a"), Server("a")
    async with House(killed, well).running() as house:
        await house.ask()
    assert [request.broke_off for request in well.seen_requests] == [1]


async def test_servers_that_are_away_loading_or_full_are_passed_over_however_many_they_are() -> None:
    servers = [Server("a") for _ in range(6)]
    kinds = [Unreachable, Loading, Overloaded, Loading, Unreachable]
    for server, kind in zip(servers[:-1], kinds, strict=True):
        server.refusal = kind("not now")
    async with House(*servers).running() as house:
        await house.ask()
    assert servers[-1].asked_for == ["a"]


async def test_what_broke_off_is_counted_also_if_the_last_one_only_refuses() -> None:
    killed, full = Killed("a"), Server("a")
    full.refusal = Overloaded("full")
    async with House(killed, full).running() as house:
        with pytest.raises(Overloaded) as refused:
            await house.ask()
    assert refused.value.broke_off == 1


IMAGE, AUDIO = Image("image/png", "iVBORw=="), Audio("wav", "UklG")


async def test_a_server_that_takes_images_gets_them() -> None:
    blind, seeing = Server("tiny", slots=9), Server("tiny")
    blind.accepts, seeing.accepts = frozenset(), frozenset({"image"})
    request = ChatRequest(uuid4().hex, [Turn("user", (IMAGE,))])
    async with House(blind, seeing).running() as house:
        house.all.abilities.check(request)
        async with reading(house.all, request) as stream:
            await anext(stream)
        assert house.all.abilities.accepts() == {"image"}
    assert (blind.seen_requests, len(seeing.seen_requests)) == ([], 1)


async def test_content_that_no_server_takes_is_refused_by_name() -> None:
    seeing, hearing = Server("tiny"), Server("tiny")
    seeing.accepts, hearing.accepts = frozenset({"image"}), frozenset({"audio"})
    request = ChatRequest(uuid4().hex, [Turn("user", (IMAGE, AUDIO))])
    async with House(seeing, hearing).running() as house:
        with pytest.raises(UnsupportedContent, match="accepts no sound"):
            house.all.abilities.check(request)
        with pytest.raises(UnsupportedContent, match="accepts no sound"):
            await events_of(house.all, request)
    assert seeing.seen_requests == hearing.seen_requests == []
