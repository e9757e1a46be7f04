"""Times of expiry as administrators write them."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.contract.expiry import expiry_of

NOW = datetime(2026, 11, 29, 12, 30, 5, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12h", datetime(2026, 11, 30, 0, 30, 5, tzinfo=UTC)),
        ("30d", datetime(2026, 12, 29, 12, 30, 5, tzinfo=UTC)),
        (" 2w ", datetime(2026, 12, 13, 12, 30, 5, tzinfo=UTC)),
        ("36500d", NOW.replace(microsecond=0) + timedelta(days=36_500)),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T12:00:00Z", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31T12:00:00+02:00", datetime(2027, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_a_time_is_understood(text: str, expected: datetime) -> None:
    assert expiry_of(text, NOW) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must be a time from now"),
        ("0d", "must be from 1h to 36500d"),
        ("36501d", "must be from 1h to 36500d"),
        ("999999999w", "must be from 1h to 36500d"),
        ("-1d", "must be a time from now"),
        ("30", "must be a time from now"),
        ("30y", "must be a time from now"),
        ("٣d", "must be a time from now"),
        ("2026-11-29", "lies in the past: 2026-11-29 00:00 UTC"),
        ("1970-01-01", "lies in the past"),
        ("2027-02-30", "must be a time from now"),
        ("9999-12-31", "must be within 36500 days"),
        ("2027-01-31T12:00:00", "needs its offset"),
        ("0001-01-01T00:00:00+23:59", "must be a time from now"),
        ("x" * 100_000, "must be a time from now"),
    ],
)
def test_another_text_is_refused_in_one_line(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        expiry_of(text, NOW)
    assert len(str(refused.value)) < 200
    assert "\n" not in str(refused.value)
