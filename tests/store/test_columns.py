"""Columns store and return any text and any time."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from gateway.store.columns import UtcTime, storable

# All code points: hypothesis's own texts leave lone surrogates out.
CODE_POINTS = st.lists(st.integers(0, 0x10FFFF).map(chr)).map("".join)


@given(CODE_POINTS | st.text(alphabet="a\0é🙂\ud800\udfff"))
def test_what_is_stored_is_valid_and_every_character_keeps_its_place(text: str) -> None:
    kept = storable(text)

    assert len(kept) == len(text)
    for was, now in zip(text, kept, strict=True):
        assert now == ("\ufffd" if was == "\0" or "\ud800" <= was <= "\udfff" else was)
    kept.encode()


def test_a_time_of_any_zone_is_the_same_moment_in_utc() -> None:
    dialect = sqlite.dialect()
    noon_in_oslo = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=1)))

    bound = UtcTime().process_bind_param(noon_in_oslo, dialect)
    assert bound is not None
    back = UtcTime().process_result_value(bound.replace(tzinfo=None), dialect)

    assert back == noon_in_oslo
    assert back is not None
    assert back.tzinfo is UTC
