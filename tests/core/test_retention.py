"""Old messages are deleted in the background, at first soon after the start and then every hour."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.configured_store import retention_of, store_of
from gateway.contract.audit import Actor
from gateway.contract.deletions import Forgotten
from gateway.contract.errors import StorageFailed
from gateway.core.retention import EVERY_S, FIRST_S, Retention
from gateway.settings import Settings

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Store:
    """Notes what it is asked for; `failure` is raised once."""

    def __init__(self) -> None:
        self.asked: list[tuple[datetime | None, int]] = []
        self.failure: Exception | None = None
        self.was_asked = asyncio.Event()

    async def forget(self, *, before: datetime | None, keep: int) -> Forgotten:
        self.asked.append((before, keep))
        self.was_asked.set()
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        return Forgotten(3, 1)

    async def forget_changes(self, before: datetime) -> int:
        self.asked.append((before, -1))
        return 7

    async def erase_user(self, user_id: str, by: Actor | None = None) -> dict[str, int]:
        raise NotImplementedError


async def run(
    store: Store, slept: list[float], *, rounds: int, days: int = 0, keep: int = 0, audit_days: int = 0
) -> None:
    """Run for so many pauses."""
    enough = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == rounds:
            enough.set()
            await asyncio.Event().wait()

    retention = Retention(
        store,
        days=days,
        messages_per_session=keep,
        audit_days=audit_days,
        clock=lambda: NOON,
        sleep=sleep,
    )
    async with asyncio.timeout(30):
        running = asyncio.ensure_future(retention.run())
        await enough.wait()
        running.cancel()
        await asyncio.wait([running])


async def test_it_runs_after_a_minute_and_then_every_hour(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    store, slept = Store(), list[float]()
    await run(store, slept, rounds=3, days=30, keep=10)

    assert slept == [FIRST_S, EVERY_S, EVERY_S]
    assert store.asked == [(NOON - timedelta(days=30), 10)] * 2
    assert "deleted 3 old messages and 1 empty sessions" in caplog.text


async def test_a_limit_that_is_off_is_not_asked_for() -> None:
    store = Store()
    await run(store, [], rounds=2, keep=10)
    assert store.asked == [(None, 10)]


async def test_the_audit_log_has_its_own_age(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    store = Store()
    await run(store, [], rounds=2, audit_days=400)
    assert store.asked == [(NOON - timedelta(days=400), -1)]
    assert "deleted 7 old entries of the audit log" in caplog.text


async def test_a_database_that_is_away_is_tried_again_in_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    store.failure = StorageFailed("The database takes no changes: disk full.")
    await run(store, [], rounds=3, days=1)

    assert len(store.asked) == 2
    assert [record.levelname for record in caplog.records if "disk full" in record.message] == ["WARNING"]


async def test_without_limits_nothing_runs() -> None:
    store = Store()
    async with asyncio.timeout(30):
        await Retention(store, days=0, messages_per_session=0, audit_days=0, clock=lambda: NOON).run()
    assert store.asked == []


async def test_the_age_of_messages_is_by_the_clock_that_wrote_their_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.core.retention.FIRST_S", 0)
    settings = Settings(retention_days=30, audit_retention_days=0)
    store, noted = store_of(settings), Store()
    monkeypatch.setattr(store, "deletions", noted)
    store.membership.clock.local = NOON.timestamp
    running = asyncio.create_task(retention_of(settings, store).run())
    async with asyncio.timeout(30):
        await noted.was_asked.wait()
    running.cancel()
    assert noted.asked == [(NOON - timedelta(days=30), 0)]
