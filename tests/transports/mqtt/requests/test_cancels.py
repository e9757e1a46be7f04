"""A cancel is sent again until a broker has it for a worker that is there."""

import asyncio
from asyncio import Future
from collections.abc import Iterable

import pytest

from gateway.contract.errors import WorkerLost
from gateway.contract.events import Delta
from tests.transports.mqtt.kept_house import House
from transports.mqtt.link.link import Receipt
from transports.mqtt.protocol.frames import CancelFrame
from transports.mqtt.requests.cancels import MAX_OWED, SEEK_S, Cancels
from transports.scripted import Step


class Inboxes:
    """sent: worker and request of each cancel. fate: of the next ones; None: the link takes none."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, int]] = []
        self.fate: Receipt | None = Receipt.TAKEN
        self.now = 1000.0
        self.cancels = Cancels(self._send, lambda: self.now)

    def _send(self, worker: str, frame: CancelFrame) -> Future[Receipt] | None:
        epoch = frame.epoch if isinstance(frame.epoch, int) else 0
        self.sent.append((worker, frame.id, epoch))
        if self.fate is None:
            return None
        receipt: Future[Receipt] = asyncio.get_running_loop().create_future()
        receipt.set_result(self.fate)
        return receipt

    async def back(self, worker: str = "w") -> list[tuple[str, str, int]]:
        """Return what a worker gets when it is back."""
        await asyncio.sleep(0)
        before = len(self.sent)
        self.cancels.worker_is_back(worker)
        await asyncio.sleep(0)
        return self.sent[before:]


@pytest.mark.parametrize("fate", [Receipt.LOST, Receipt.NOBODY])
async def test_one_that_reached_nobody_is_sent_until_it_does(fate: Receipt) -> None:
    at = Inboxes()
    at.fate = fate
    at.cancels.send("w", "r", 2)
    assert await at.back("other") == []
    assert await at.back() == [("w", "r", 2)]
    at.fate = Receipt.TAKEN
    assert await at.back() == [("w", "r", 2)]
    assert await at.back() == []


@pytest.mark.parametrize("fate", [Receipt.TAKEN, Receipt.REFUSED])
async def test_one_that_the_broker_answered_is_sent_once(fate: Receipt) -> None:
    at = Inboxes()
    at.fate = fate
    at.cancels.send("w", "r")
    assert await at.back() == []


async def test_a_worker_that_is_away_gets_it_when_it_is_back() -> None:
    at = Inboxes()
    at.cancels.send("w", "r", is_here=False)
    assert await at.back() == [("w", "r", 0)]
    assert await at.back() == []


async def test_their_number_is_bounded() -> None:
    at = Inboxes()
    at.fate = Receipt.LOST
    for number in range(MAX_OWED + 5):
        at.cancels.send("w", str(number))
        at.cancels.send(f"w-{number}", "r")
    assert len(await at.back()) == MAX_OWED
    assert await at.back("w-0") == []
    assert await at.back(f"w-{MAX_OWED + 4}") == [(f"w-{MAX_OWED + 4}", "r", 0)]


async def test_every_worker_gets_the_one_of_a_request_whose_worker_is_unknown() -> None:
    at = Inboxes()
    at.cancels.send_to_all(["w"], "r", 2)
    assert at.sent == [("w", "r", 2)]
    assert await at.back() == []
    assert await at.back("other") == [("other", "r", 2)]
    assert await at.back("other") == []
    at.cancels.worker_is_back("old", keeps=False)
    at.now += SEEK_S
    assert await at.back("late") == []
    assert [worker for worker, *_ in at.sent] == ["w", "other"]


async def test_their_number_is_bounded_too() -> None:
    at = Inboxes()
    for number in range(MAX_OWED + 5):
        at.cancels.send_to_all([], str(number), 1)
    assert await at.back() == [("w", str(number), 1) for number in range(5, MAX_OWED + 5)]


def endless(_: House) -> Iterable[Step]:
    return [[Delta("on ")]]


@pytest.mark.parametrize("when", ["with the connection", "while it is away"])
async def test_a_worker_stops_though_the_gateways_connection_broke(when: str) -> None:
    house = House(endless)
    house.broker.publishes_wills = False  # else the worker stops by itself
    async with house.running(), house.gateway() as gateway:
        reply = gateway.ask(keep_s=0)
        await reply.until("on ")
        if when == "while it is away":
            gateway.link.stuck = True
            await reply.stop()
            gateway.link.stuck = False
        gateway.link.lose_connection()
        if when == "with the connection":
            assert isinstance((await reply.end()).error, WorkerLost)
        gateway.link.connect()
        await house.model.idle()
