"""A record is a value: equal by its fields, usable as a key, and without room for other attributes."""

import dataclasses

import pytest

from gateway.contract.record import record, replace
from gateway.contract.requests import ChatRequest, Turn


@record
class Point:
    x: int
    y: int = 0


def test_records_with_equal_fields_are_equal_and_have_the_same_hash() -> None:
    assert Point(1) == Point(1, 0) != Point(2)
    assert len({Point(1), Point(1), replace(Point(2), x=1)}) == 1


def test_a_copy_is_that_of_dataclasses() -> None:
    request = ChatRequest("id", [Turn("user", "Hi")], model="tiny")
    changed = replace(request, model=None, cache="off")
    assert changed == dataclasses.replace(request, model=None, cache="off") != request
    assert (request.model, changed.turns is request.turns) == ("tiny", True)
    with pytest.raises(TypeError, match="colour"):
        replace(request, colour="red")  # type: ignore[call-arg]


def test_a_record_has_no_other_attributes() -> None:
    assert not hasattr(Point(1), "__dict__")
