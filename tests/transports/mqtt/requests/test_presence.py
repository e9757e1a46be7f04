from typing import Literal

import pytest

from gateway.contract.transport import WorkerInfo
from transports.mqtt.protocol.frames import Status
from transports.mqtt.requests.presence import MAX_WORKERS, KnownWorker, Presence


def known(presence: Presence, name: str) -> KnownWorker:
    return next(worker for worker in presence.workers if worker.name == name)


def heard(*statuses: Status, name: str = "w", now: float = 0.0) -> Presence:
    presence = Presence()
    for status in statuses:
        presence.take(name, status, retained=False, now=now)
    return presence


def test_a_retained_status_makes_a_worker_known() -> None:
    presence = Presence()
    presence.take("w", Status("ready"), retained=True, now=0.0)
    assert [worker.name for worker in presence.ready] == ["w"]


def test_a_draining_worker_is_not_ready_and_not_lost() -> None:
    presence = heard(Status("ready"), Status("draining"))
    assert not presence.ready
    assert not known(presence, "w").lost


@pytest.mark.parametrize("state", ["ready", "draining"])
def test_a_worker_is_listed_in_the_state_it_announced(state: Literal["ready", "draining"]) -> None:
    presence = heard(Status("ready"), Status(state))
    assert known(presence, "w").info(now=0.0).state == state


def test_a_worker_is_listed_with_what_is_known_of_it() -> None:
    said = Status("ready", models=["tiny"], stream=False, max=8, busy=3, incarnation=42, heartbeat_s=15)
    worker = known(heard(said, now=100.0), "w")
    worker.open = 2
    worker.full = True
    assert worker.info(now=101.5) == WorkerInfo(
        name="w",
        state="ready",
        models=["tiny"],
        stream=False,
        max=8,
        busy=3,
        open=2,
        incarnation=42,
        heartbeat_s=15,
        last_heard_s=1.5,
        set_aside=False,
        full=True,
        disabled=False,
    )


def test_a_worker_that_is_set_aside_is_listed_as_such() -> None:
    presence = heard(Status("ready"))
    worker = known(presence, "w")
    presence.failed(worker, now=1.0)
    assert worker.info(now=1.0).set_aside


def test_a_lost_of_the_same_life_ends_it() -> None:
    presence = heard(Status("ready", incarnation=2))
    worker = known(presence, "w")
    assert presence.take("w", Status("lost", incarnation=2), retained=False, now=1.0) is worker
    assert worker.lost
    assert not presence.workers


def test_a_lost_of_an_earlier_life_is_ignored() -> None:
    presence = heard(Status("ready", incarnation=2))
    assert presence.take("w", Status("lost", incarnation=1), retained=False, now=1.0) is None
    assert presence.ready


def test_a_lost_of_a_life_that_was_never_heard_ends_the_earlier_one() -> None:
    presence = heard(Status("ready", incarnation=2))
    presence.take("w", Status("lost", incarnation=3), retained=False, now=1.0)
    assert not presence.workers


def test_a_restart_is_another_worker() -> None:
    presence = heard(Status("ready", incarnation=1))
    before = known(presence, "w")
    assert presence.take("w", Status("ready", incarnation=2), retained=False, now=1.0) is before
    assert before.lost
    assert known(presence, "w") is not before


def test_missed_heartbeats_end_a_worker_by_our_clock() -> None:
    presence = heard(Status("ready", heartbeat_s=10), now=100.0)
    assert not presence.expire(129.9)
    assert [worker.name for worker in presence.expire(130.0)] == ["w"]
    assert not presence.workers


def test_a_heartbeat_is_believed_anew() -> None:
    presence = heard(Status("ready", heartbeat_s=10), now=100.0)
    presence.take("w", Status("ready", heartbeat_s=10), retained=False, now=125.0)
    assert not presence.expire(150.0)


def test_who_promised_no_heartbeat_is_believed_until_lost() -> None:
    presence = heard(Status("ready"))
    assert not presence.expire(1e9)


def test_without_the_broker_nobody_is_known() -> None:
    presence = heard(Status("ready"))
    assert [worker.lost for worker in presence.forget_all()] == [True]
    assert not presence.workers


def test_room_counts_what_the_worker_says_and_what_we_sent() -> None:
    worker = KnownWorker("w", Status("ready", max=4, busy=3), 0.0, open=1)
    assert worker.room(64, held_back=False) == 1
    worker.open = 4
    assert worker.room(64, held_back=False) == 0


def test_models_are_listed_once_with_the_default_first() -> None:
    presence = heard(Status("ready", models=["a", "b"]))
    presence.take("v", Status("ready", models=["b", "c"]), retained=False, now=0.0)
    presence.take("u", Status("draining", models=["d"]), retained=False, now=0.0)
    assert presence.models() == ["a", "b", "c"]


def crowd() -> Presence:
    """As many workers as there may be, w0, w1, ..., all of them ready."""
    presence = Presence()
    for number in range(MAX_WORKERS):
        presence.take(f"w{number}", Status("ready"), retained=False, now=0.0)
    return presence


def test_invented_names_have_no_end_but_presence_has(caplog: pytest.LogCaptureFixture) -> None:
    presence = crowd()
    for number in range(9_000):
        assert presence.take(f"bogus{number}", Status("ready"), retained=False, now=1.0) is None
    assert len(presence.workers) == MAX_WORKERS
    assert presence.turned_away == 9_000
    assert len(caplog.records) == 1
    presence.take("w7", Status("draining"), retained=False, now=2.0)
    assert known(presence, "w7").status.state == "draining", "who is known is heard on"


@pytest.mark.parametrize("state", ["set aside", "draining"])
def test_in_a_crowd_a_newcomer_takes_the_place_of_one_who_takes_no_requests(state: str) -> None:
    presence = crowd()
    idle, busy = known(presence, "w7"), known(presence, "w3")
    for worker in (idle, busy):
        if state == "draining":
            worker.status = Status("draining")
        else:
            worker.record.failed(1.0, 1.0)
    busy.open = 1
    presence.take("good", Status("ready"), retained=False, now=1.0)
    assert known(presence, "good").ready
    assert idle.lost
    assert not busy.lost, "it owes us an answer"


def test_what_is_known_of_a_worker_can_be_told() -> None:
    presence = heard(Status("ready", incarnation=7, heartbeat_s=10, models=["m"], max=4, busy=3), now=100.0)
    known(presence, "w").full = True
    info = known(presence, "w").info(now=102.5)
    assert (info.name, info.state, info.models, info.incarnation) == ("w", "ready", ["m"], 7)
    assert (info.max, info.busy, info.open, info.full, info.set_aside) == (4, 3, 0, True, False)
    assert info.last_heard_s == 2.5
