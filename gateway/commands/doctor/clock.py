"""Checks the clock, which ids of sessions, expiry, retention and the order of messages depend on."""

import ctypes
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from gateway.commands.doctor.findings import Finding, failure, ok, skipped, warning
from gateway.contract.errors import StorageFailed
from gateway.settings import Settings
from gateway.store.inspection import Inspection, inspect_database

FAR = timedelta(seconds=30)
RELEASED = datetime(2025, 1, 1, tzinfo=UTC)
"""No clock is right that shows an earlier time."""

FIX = "sudo timedatectl set-ntp true; timedatectl timesync-status"

_TIMEX_BYTES, _STATUS_AT, _UNSYNCHRONISED = 208, 40, 0x40


def kernel_is_synchronised() -> bool | None:
    """Return True if a time service keeps the kernel's clock right; None if that cannot be known."""
    if not sys.platform.startswith("linux") or sys.maxsize < 2**32:
        return None
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes 0: read only
    with suppress(OSError, AttributeError):
        if ctypes.CDLL(None).adjtimex(timex) >= 0:
            status = int.from_bytes(timex.raw[_STATUS_AT : _STATUS_AT + 4], sys.byteorder)
            return not status & _UNSYNCHRONISED
    return None


async def clock(
    settings: Settings,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    synchronised: Callable[[], bool | None] = kernel_is_synchronised,
) -> Sequence[Finding]:
    """Compare the clock with the database's, with the newest message, and ask the kernel."""
    shown = f"{now():%Y-%m-%d %H:%M:%S} UTC"
    if now() < RELEASED:
        return [failure(f"the clock shows {shown}, which is before this program was made", FIX)]
    with suppress(StorageFailed, ValueError):
        if problem := _against(await inspect_database(settings.database_url), now()):
            return [failure(f"the clock shows {shown}, {problem}", FIX)]
    match synchronised():
        case True:
            return [ok(f"{shown}, kept right by a time service")]
        case False:
            return [warning(f"{shown}, and no time service keeps the clock right", FIX)]
        case None:
            return [skipped(f"{shown}; this system does not report if a time service keeps it right")]


def _against(found: Inspection, now: datetime) -> str | None:
    if found.server_time is not None and abs(found.server_time - now) > FAR:
        return f"and the database's server {found.server_time:%Y-%m-%d %H:%M:%S} UTC"
    if found.newest_message is not None and found.newest_message > now + FAR:
        return f"and the newest message is from {found.newest_message:%Y-%m-%d %H:%M:%S} UTC"
    return None
