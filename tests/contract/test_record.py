"""A record is a value: equal by its fields, usable as a key, and without room for other attributes."""

from dataclasses import replace

from gateway.contract.record import record


@record
class Point:
    x: int
    y: int = 0


def test_records_with_equal_fields_are_equal_and_have_the_same_hash() -> None:
    assert Point(1) == Point(1, 0) != Point(2)
    assert len({Point(1), Point(1), replace(Point(2), x=1)}) == 1


def test_a_record_has_no_other_attributes() -> None:
    assert not hasattr(Point(1), "__dict__")
