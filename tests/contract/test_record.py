"""A record is a value: equal by its fields, usable as a key, and without room for other attributes."""

import pytest
from msgspec import Struct

from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest, Turn


class Point(Struct, frozen=True):
    x: int
    y: int = 0


def test_records_with_equal_fields_are_equal_and_have_the_same_hash() -> None:
    assert Point(1) == Point(1, 0) != Point(2)
    assert len({Point(1), Point(1), replace(Point(2), x=1)}) == 1


def test_a_copy_differs_in_the_given_fields_only() -> None:
    request = ChatRequest("id", [Turn("user", "Hi")], model="tiny")
    changed = replace(request, model=None, cache="off")
    assert changed == ChatRequest("id", request.turns, cache="off") != request
    assert (request.model, changed.turns is request.turns) == ("tiny", True)
    with pytest.raises(TypeError, match="colour"):
        replace(request, colour="red")  # type: ignore[call-arg]


def test_a_record_has_no_other_attributes() -> None:
    assert not hasattr(Point(1), "__dict__")
