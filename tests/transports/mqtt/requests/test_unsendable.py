"""Queued requests that cannot be sent when their turn comes: the connection is full, or takes less now."""

from tests.transports.mqtt.requests.test_dispatch import Asker, House
from transports.mqtt.protocol.frames import Status
from transports.mqtt.requests.presence import KnownWorker


def test_a_long_queue_whose_requests_cannot_be_sent_is_emptied() -> None:
    """Each of them gives its worker back at once, from within its assignment."""
    house = House(queue_max=2_000, a=Status("ready", max=1))
    first = house.enter()

    class Unsendable(Asker):
        def assigned(self, worker: KnownWorker) -> None:
            super().assigned(worker)
            house.dispatch.release(worker)

    waiting = [house.enter(Unsendable(asked_at=float(number))) for number in range(2_000)]
    assert first.worker is not None
    house.dispatch.release(first.worker)
    assert {asker.got for asker in waiting} == {"a"}
    assert (house.dispatch.waiting, first.worker.open) == (0, 0)
