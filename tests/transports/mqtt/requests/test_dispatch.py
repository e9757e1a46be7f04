from dataclasses import dataclass, field

import pytest

from gateway.contract.content import Need
from gateway.contract.errors import NoWorker, Overloaded
from gateway.contract.transport import WorkerRule
from transports.mqtt.protocol.frames import Status
from transports.mqtt.requests.dispatch import ALL_DISABLED, Dispatch
from transports.mqtt.requests.presence import KnownWorker, Presence


@dataclass(eq=False)
class Asker:
    model: str | None = None
    asked_at: float = 0.0
    tried: set[KnownWorker] = field(default_factory=set)
    needs: frozenset[Need] = frozenset()
    worker: KnownWorker | None = None
    positions: list[int] = field(default_factory=list)
    stranded: str = ""

    def assigned(self, worker: KnownWorker) -> None:
        self.worker = worker

    def waits_at(self, position: int) -> None:
        self.positions.append(position)

    def is_stranded(self, why: str) -> None:
        self.stranded = why

    @property
    def got(self) -> str | None:
        return self.worker.name if self.worker is not None else None


class House:
    def __init__(self, queue_max: int = 10, **workers: Status) -> None:
        self.presence = Presence()
        self.dispatch = Dispatch(self.presence, queue_max=queue_max)
        for name, status in workers.items():
            self.presence.take(name, status, retained=False, now=0.0)

    def enter(self, asker: Asker | None = None) -> Asker:
        asker = asker or Asker()
        self.dispatch.enter(asker)
        return asker


def test_the_worker_with_the_most_room_is_chosen() -> None:
    house = House(
        a=Status("ready", max=4, busy=3), b=Status("ready", max=4, busy=1), c=Status("ready", max=2)
    )
    assert house.enter().got == "b"


def test_of_equals_the_least_recently_used_is_chosen_and_a_new_one_first() -> None:
    house = House(a=Status("ready", max=9), b=Status("ready", max=9))
    first, second = house.enter(), house.enter()
    assert {first.got, second.got} == {"a", "b"}
    for asker in (first, second):
        assert asker.worker is not None
        house.dispatch.release(asker.worker)
    house.presence.take("c", Status("ready", max=9), retained=False, now=0.0)
    assert house.enter().got == "c"
    assert house.enter().got == first.got


def test_only_a_worker_that_has_the_model_is_chosen() -> None:
    house = House(a=Status("ready", max=9, models=["big"]), b=Status("ready", models=["small"]))
    assert house.enter(Asker("small")).got == "b"
    assert house.enter(Asker("small")).got is None, "it waits for the worker that has it"


def test_a_model_that_nobody_lists_means_the_default_model() -> None:
    house = House(a=Status("ready", models=["big"]))
    assert house.enter(Asker("gpt-unknown")).got == "a"


def test_a_model_whose_worker_is_set_aside_is_waited_for() -> None:
    house = House(a=Status("ready", models=["big"]), b=Status("ready", models=["small"]))
    (a, _) = house.presence.workers
    house.presence.failed(a, 1.0)
    waiting = house.enter(Asker("big"))
    assert waiting.got is None, "another model's answer is not what was asked for"
    assert house.dispatch.expected("big") is a
    house.presence.expire(1e6)
    house.dispatch.serve()
    assert waiting.got == "a"


def test_a_model_whose_worker_has_gone_means_the_default_model() -> None:
    house = House(a=Status("ready", models=["big"]), b=Status("ready", models=["small"]))
    house.presence.take("a", Status("draining", models=["big"]), retained=False, now=1.0)
    assert house.enter(Asker("big")).got == "b"


def test_a_worker_by_name_gets_only_requests_that_name_its_model() -> None:
    house = House(a=Status("ready", max=9, models=["trial"], by_name=True))
    for model in (None, "gpt-unknown"):
        with pytest.raises(NoWorker):
            house.dispatch.expected(model)
    assert house.dispatch.expected("trial").name == "a"
    house.presence.take("b", Status("ready", models=["small"]), retained=False, now=1.0)
    assert [house.enter(Asker(model)).got for model in (None, "trial")] == ["b", "a"]
    assert house.enter().got is None, "it waits for b"
    assert house.presence.models() == ["small", "trial"]


def test_only_who_has_the_model_is_still_to_be_tried() -> None:
    house = House(a=Status("ready", models=["big"]), b=Status("ready", models=["small"]))
    asker = house.enter(Asker("big"))
    assert asker.worker is not None
    asker.tried.add(asker.worker)
    assert not house.dispatch.has_untried(asker)


def test_without_a_ready_worker_a_request_is_refused_at_once() -> None:
    house = House(a=Status("draining"))
    with pytest.raises(NoWorker):
        house.dispatch.expected(None)


def test_who_waits_is_told_where_and_served_in_order() -> None:
    house = House(a=Status("ready", max=1))
    served, first, second = house.enter(), house.enter(), house.enter()
    assert (first.positions, second.positions) == ([1], [2])
    assert served.worker is not None
    house.dispatch.release(served.worker)
    assert first.got == "a"
    assert second.got is None
    assert second.positions == [2, 1]


def test_who_leaves_the_queue_moves_the_others_up() -> None:
    house = House(a=Status("ready", max=1))
    house.enter()
    first, second = house.enter(), house.enter()
    house.dispatch.leave(first)
    assert second.positions == [2, 1]
    assert house.dispatch.waiting == 1


def test_a_full_queue_refuses() -> None:
    house = House(queue_max=1, a=Status("ready", max=1))
    house.enter()
    house.enter()
    with pytest.raises(Overloaded):
        house.enter()
    with pytest.raises(Overloaded):
        house.dispatch.expected(None)


def test_who_was_let_in_before_is_never_refused_and_takes_its_old_place() -> None:
    house = House(queue_max=1, a=Status("ready", max=1))
    served = house.enter(Asker(asked_at=1.0))
    other = house.enter(Asker(asked_at=2.0))
    assert served.worker is not None
    house.presence.forget_all()
    house.dispatch.release(served.worker)
    house.dispatch.enter(served, again=True)
    assert (served.positions, other.positions) == ([1], [1, 2])
    with pytest.raises(Overloaded):
        house.enter(Asker(asked_at=3.0))
    house.presence.take("a", Status("ready", max=1), retained=False, now=3.0)
    house.dispatch.serve()
    assert served.got == "a"
    assert other.positions[-1] == 1


def test_one_models_queue_does_not_hold_up_the_others() -> None:
    house = House(queue_max=9, a=Status("ready", models=["big"]), b=Status("ready", models=["small"]))
    house.enter(Asker("big"))
    served = house.enter(Asker("small"))
    waiting = [house.enter(Asker(model)) for model in ("big", "big", "small", "big", "small")]
    assert served.worker is not None
    house.dispatch.release(served.worker)
    assert [asker.got for asker in waiting] == [None, None, "b", None, None]
    assert [asker.positions[-1] for asker in waiting if asker.got is None] == [1, 2, 3, 4]


def test_a_new_worker_serves_who_waits() -> None:
    house = House(a=Status("ready", max=1))
    house.enter()
    waiting = house.enter()
    house.presence.take("b", Status("ready"), retained=False, now=0.0)
    house.dispatch.serve()
    assert waiting.got == "b"


def test_who_waits_for_another_model_holds_nobody_up() -> None:
    house = House(a=Status("ready", models=["big"]), b=Status("ready", models=["small"]))
    house.enter(Asker("big"))
    served = house.enter(Asker("small"))
    for_big, for_small = house.enter(Asker("big")), house.enter(Asker("small"))
    assert served.worker is not None
    house.dispatch.release(served.worker)
    assert (for_big.got, for_small.got) == (None, "b")


def test_a_worker_that_refused_is_not_asked_again() -> None:
    house = House(a=Status("ready", max=9), b=Status("ready", max=2))
    asker = house.enter()
    assert asker.worker is not None
    asker.tried.add(asker.worker)
    assert house.dispatch.has_untried(asker)
    assert house.enter(Asker(tried=asker.tried)).got == "b"
    asker.tried.update(house.presence.ready)
    assert not house.dispatch.has_untried(asker)


def test_who_was_refused_does_not_speak_for_those_behind_it() -> None:
    house = House(a=Status("ready", models=["m"]))
    (a,) = house.presence.workers
    served = house.enter(Asker("m"))
    refused, other = house.enter(Asker("m", tried={a})), house.enter(Asker("m"))
    assert served.worker is a
    house.dispatch.release(a)
    assert (refused.got, other.got) == (None, "a")


def test_what_to_expect_is_who_would_serve() -> None:
    house = House(a=Status("ready", max=1, stream=True), b=Status("ready", max=2))
    assert house.dispatch.expected(None).name == "b"


def test_a_disabled_worker_gets_nothing_new_and_keeps_what_it_has() -> None:
    house = House(a=Status("ready", max=9))
    first = house.enter()
    house.dispatch.rule_workers({"a": WorkerRule(disabled=True)})
    with pytest.raises(NoWorker):
        house.dispatch.expected(None)
    assert (first.got, first.stranded) == ("a", "")
    house.dispatch.rule_workers({})
    assert house.enter().got == "a"


def test_a_disabled_worker_is_not_the_one_that_lists_the_model() -> None:
    house = House(a=Status("ready", models=["big"]), b=Status("ready", models=["tiny"]))
    house.dispatch.rule_workers({"a": WorkerRule(disabled=True)})
    assert house.enter(Asker(model="big")).got == "b"


def test_a_rule_limits_a_worker_below_its_own_maximum_and_holds_for_its_next_incarnation() -> None:
    house = House(a=Status("ready", max=9, incarnation=1))
    house.dispatch.rule_workers({"a": WorkerRule(max_requests=2)})
    assert [house.enter().got for _ in range(3)] == ["a", "a", None]
    house.presence.take("a", Status("ready", max=9, incarnation=2), retained=False, now=0.0)
    house.dispatch.serve()
    assert [house.enter().got for _ in range(2)] == ["a", None]


IMAGE: frozenset[Need] = frozenset({"image"})


@pytest.mark.parametrize("others", ["blind", "seeing", "none"])
def test_who_waits_for_a_worker_that_takes_images_is_dropped_when_the_last_one_leaves(others: str) -> None:
    house = House(a=Status("ready", incarnation=1, accepts=["image"]))
    house.enter(Asker(needs=IMAGE))
    if others != "none":
        status = Status("ready", accepts=["image"] if others == "seeing" else [])
        house.presence.take("b", status, retained=False, now=0.0)
        house.enter(Asker(needs=IMAGE if others == "seeing" else frozenset()))
    image, text = house.enter(Asker(needs=IMAGE)), house.enter()
    assert (image.got, text.got) == (None, None)
    gone = house.presence.take("a", Status("lost", incarnation=1), retained=False, now=0.0)
    assert gone is not None
    house.dispatch.left([gone])
    assert (bool(image.stranded), text.stranded) == (others == "blind", "")


def test_nothing_waits_while_all_workers_are_disabled() -> None:
    house = House(a=Status("ready", max=1), b=Status("draining"))
    served, waiting = house.enter(), house.enter()
    house.dispatch.rule_workers({"a": WorkerRule(disabled=True)})
    assert (served.stranded, waiting.stranded) == ("", ""), "another worker may take it yet"
    house.dispatch.rule_workers({name: WorkerRule(disabled=True) for name in "ab"})
    assert waiting.stranded == ALL_DISABLED
    assert (served.got, served.stranded, house.dispatch.waiting) == ("a", "", 0)
    with pytest.raises(NoWorker, match="an administrator has disabled every MQTT worker"):
        house.dispatch.expected(None)


def test_a_request_that_comes_back_while_all_workers_are_disabled_does_not_wait() -> None:
    house = House(a=Status("ready", max=1))
    house.dispatch.rule_workers({"a": WorkerRule(disabled=True)})
    again = Asker()
    house.dispatch.enter(again, again=True)
    assert (again.stranded, house.dispatch.waiting) == (ALL_DISABLED, 0)


def test_without_any_worker_it_waits_for_one() -> None:
    house = House()
    house.dispatch.rule_workers({"a": WorkerRule(disabled=True)})
    assert house.enter().stranded == ""
