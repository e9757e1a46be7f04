"""Times of expiry, as administrators write them."""

import re
from datetime import UTC, date, datetime, timedelta

MAX_EXPIRY_DAYS = 36_500

_HOURS = {"h": 1, "d": 24, "w": 7 * 24}
_FORMS = "must be a time from now such as 12h, 30d or 8w, or a date such as 2027-01-31, which begins in UTC"


def expiry_of(text: str, now: datetime) -> datetime:
    """Return the time, in UTC. Raises ValueError with one line.

    Args:
        text: hours, days or weeks from now, a date, or an ISO 8601 time with its offset.
        now: aware.
    """
    if found := re.fullmatch(r"([0-9]{1,9})([hdw])", text.strip()):
        hours = int(found[1]) * _HOURS[found[2]]
        if not 1 <= hours <= 24 * MAX_EXPIRY_DAYS:
            raise ValueError(f"must be from 1h to {MAX_EXPIRY_DAYS}d")
        return (now + timedelta(hours=hours)).astimezone(UTC).replace(microsecond=0)
    at = _time_of(text.strip())
    if at <= now:
        raise ValueError(f"lies in the past: {at:%Y-%m-%d %H:%M} UTC")
    if at > now + timedelta(days=MAX_EXPIRY_DAYS):
        raise ValueError(f"must be within {MAX_EXPIRY_DAYS} days")
    return at


def _time_of(text: str) -> datetime:
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(_FORMS) from None
    if at.tzinfo is None:
        raise ValueError("a time needs its offset, such as 2027-01-31T12:00:00Z")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError(_FORMS) from None
