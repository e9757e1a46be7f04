"""How workers earn requests, and lose them, whatever their statuses say."""

import pytest

from gateway.contract.errors import NoWorker
from tests.transports.mqtt.requests.test_dispatch import Asker, House
from transports.mqtt.protocol.frames import LARGEST, Status
from transports.mqtt.requests.presence import KnownWorker, Presence
from transports.mqtt.requests.track_records import (
    FIRST_PAUSE_S,
    FIRST_SHARE,
    LONGEST_PAUSE_S,
    MAX_REMEMBERED,
    TrackRecord,
    TrackRecords,
)

READY = Status("ready", heartbeat_s=10, max=64)


def house_of(**workers: Status) -> House:
    return House(queue_max=1_000, **workers)


def known(house: House, name: str) -> KnownWorker:
    worker = house.presence.find(name)
    assert worker is not None
    return worker


def answer(house: House, *askers: Asker) -> None:
    for asker in askers:
        assert asker.worker is not None
        asker.worker.record.answered()
        house.dispatch.release(asker.worker)


def test_nobody_gets_more_than_worker_max_whatever_it_says() -> None:
    house = house_of(king=Status("ready", max=LARGEST))
    assert sum(house.enter().got == "king" for _ in range(100)) == 64


def test_a_lone_new_worker_gets_its_full_load_at_once() -> None:
    house = house_of(a=READY)
    assert sum(house.enter().got == "a" for _ in range(64)) == 64


def test_a_fleet_of_which_nobody_has_answered_yet_is_not_held_back() -> None:
    house = house_of(a=READY, b=READY)
    assert sum(house.enter().got is not None for _ in range(128)) == 128


def test_beside_a_proven_worker_a_new_one_gets_a_few_requests_until_it_answers() -> None:
    house = house_of(a=Status("ready", max=8))
    answer(house, house.enter())
    house.presence.take("king", Status("ready", max=LARGEST), retained=False, now=0.0)
    got = [house.enter().got for _ in range(20)]
    assert (got.count("king"), got.count("a")) == (FIRST_SHARE, 8)


def test_beside_one_that_promises_more_a_worker_gets_its_part_before_anybody_has_answered() -> None:
    house = house_of(king=Status("ready", max=LARGEST), a=Status("ready", max=4))
    got = [house.enter().got for _ in range(8)]
    assert (got.count("king"), got.count("a")) == (4, 4)


def test_one_that_lets_requests_lie_gets_none_while_another_that_answers_has_room() -> None:
    house = house_of(king=Status("ready", max=LARGEST), a=Status("ready", max=4))
    got = [house.enter() for _ in range(2)]
    for _ in range(100):
        answer(house, *(asker for asker in got if asker.got == "a"))
        got = [house.enter()]
    assert known(house, "king").open <= FIRST_SHARE


def test_one_that_answers_every_tenth_request_is_not_preferred() -> None:
    house = house_of(a=Status("ready", max=4))
    answer(house, house.enter())
    house.presence.take("king", Status("ready", max=LARGEST), retained=False, now=0.0)
    lying = 0
    for _ in range(1_000):
        asker = house.enter()
        lying += asker.got == "king"
        if asker.got == "a" or lying % 10 == 1:
            answer(house, asker)
    assert known(house, "king").open <= 2 * FIRST_SHARE


def test_a_worker_that_answered_is_not_held_back_beside_others() -> None:
    house = house_of(a=READY, b=READY)
    answer(house, house.enter(), house.enter())
    assert sum(house.enter().got is not None for _ in range(128)) == 128


def test_a_new_worker_has_its_full_load_after_an_answer() -> None:
    house = house_of(a=Status("ready", max=1))
    answer(house, house.enter())
    house.presence.take("new", READY, retained=False, now=0.0)
    asker = house.enter()
    assert asker.got == "new"
    answer(house, asker)
    assert sum(house.enter().got == "new" for _ in range(65)) == 64


def test_a_failure_sets_aside_for_longer_each_time_and_a_status_changes_nothing() -> None:
    house = house_of(a=READY)
    a, now, pauses = known(house, "a"), 0.0, []
    for _ in range(6):
        house.presence.failed(a, now)
        until = a.record.aside_until
        assert until is not None
        pauses.append(until - now)
        house.presence.take("a", READY, retained=False, now=now)
        house.presence.take("a", Status("ready", max=64, incarnation=int(now) + 1), retained=False, now=now)
        a = known(house, "a")
        assert not a.ready
        with pytest.raises(NoWorker):
            house.dispatch.expected(None)
        now = until
        house.presence.expire(now)
        assert a.ready
    for number, pause in enumerate(pauses):
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**number)
        assert longest / 2 <= pause <= longest


def test_what_fails_together_is_one_failure() -> None:
    record = TrackRecord()
    for _ in range(64):
        record.failed(0.0, 1.0)
    assert (record.failures, record.aside_until) == (1, FIRST_PAUSE_S)


def test_after_a_pause_it_gets_one_request_at_a_time_until_it_answers() -> None:
    house = house_of(a=READY)
    house.presence.failed(known(house, "a"), 0.0)
    house.presence.expire(FIRST_PAUSE_S)
    first, second = house.enter(), house.enter()
    assert (first.got, second.got) == ("a", None)
    answer(house, first)
    assert second.got == "a"
    assert sum(house.enter().got == "a" for _ in range(63)) == 63


def test_after_a_pause_it_is_asked_only_if_nobody_else_has_room() -> None:
    house = house_of(a=READY, b=Status("ready", max=2))
    house.presence.failed(known(house, "a"), 0.0)
    house.presence.expire(FIRST_PAUSE_S)
    assert [house.enter().got for _ in range(4)] == ["b", "b", "a", None]


def test_an_answer_ends_a_pause() -> None:
    record = TrackRecord()
    record.failed(0.0, 1.0)
    record.answered()
    assert (record.failures, record.aside_until, record.proven) == (0, None, True)


def test_a_record_outlives_the_broker_and_the_worker() -> None:
    presence = Presence()
    presence.take("bad", READY, retained=False, now=0.0)
    bad = presence.find("bad")
    assert bad is not None
    presence.failed(bad, 0.0)
    presence.forget_all()
    presence.take("bad", READY, retained=True, now=1.0)
    assert not presence.ready


def test_records_are_bounded() -> None:
    presence = Presence()
    for number in range(MAX_REMEMBERED + 100):
        presence.take(f"w{number}", READY, retained=False, now=0.0)
        worker = presence.find(f"w{number}")
        assert worker is not None
        presence.failed(worker, 0.0)
        presence.take(f"w{number}", Status("lost"), retained=False, now=0.0)
    assert len(presence._records._gone) == MAX_REMEMBERED


def test_each_answer_adds_one_request_to_a_share_and_a_failure_takes_all_of_them() -> None:
    record = TrackRecord()
    for _ in range(3):
        record.answered()
    assert (record.proven, record.share) == (True, FIRST_SHARE + 3)
    record.failed(now=0, jitter=1)
    assert (record.proven, record.share) == (False, FIRST_SHARE)


def test_the_worker_that_left_first_is_forgotten_first() -> None:
    records = TrackRecords(lambda: 1.0)
    for number in range(MAX_REMEMBERED + 1):
        record = TrackRecord()
        record.answered()
        records.leaves(f"w{number}", record)
    assert records.returns(f"w{MAX_REMEMBERED}").proven
    assert records.returns("w1").proven
    assert not records.returns("w0").proven


def test_pauses_differ_by_up_to_half() -> None:
    assert TrackRecords(lambda: 0.0).jitter() == 0.5
    assert TrackRecords(lambda: 1.0).jitter() == 1.0
