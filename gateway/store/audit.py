"""The AuditLog in a SQL database, and changes that are committed together with their entry in it."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Row, bindparam, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.audit import Actor, Change, StoredChange
from gateway.contract.errors import RequestRejected
from gateway.contract.secrets import without_secrets
from gateway.store.columns import MAX_ID
from gateway.store.tables import audit_log
from gateway.store.writer import Write, Writer

log = logging.getLogger("sluice.audit")

P = TypeVar("P")
R = TypeVar("R")

FORGET_BATCH = 1000

_INSERT = insert(audit_log)
_SELECT = (
    select(audit_log)
    .where(audit_log.c.id < bindparam("before"))
    .order_by(audit_log.c.id.desc())
    .limit(bindparam("limit"))
)
_oldest = select(audit_log.c.id, audit_log.c.at).order_by(audit_log.c.id).limit(FORGET_BATCH).subquery()
_DELETE_OLD = delete(audit_log).where(
    audit_log.c.id.in_(
        select(_oldest.c.id).where(_oldest.c.at < bindparam("before", type_=audit_log.c.at.type))
    )
)


@dataclass(frozen=True, slots=True)
class Audited(Generic[P]):
    """A payload, and the entry that is made if the change succeeds; None for no entry."""

    payload: P
    change: Change | None
    now: datetime


class AuditedWrite(Generic[P, R]):
    """A kind of change that also makes an entry in the audit log, in the same transaction.

    An outcome of False or an exception makes no entry.

    Args:
        write: the change itself.
        subject_of: names the changed thing by the outcome, for a Change without a subject.
    """

    def __init__(self, write: Write[P, R], subject_of: Callable[[R], str] = str) -> None:
        self._apply_all = write.apply
        self._subject_of = subject_of
        self._write = Write[Audited[P], R](self._apply, rank=write.rank)

    async def do(self, writer: Writer, payload: P, change: Change | None, now: datetime) -> R:
        """Return the outcome when the change and its entry are committed; then the entry is logged too."""
        outcome = await writer.do(self._write, Audited(payload, change, now))
        if change is not None and outcome is not False:
            log_change(change, self._subject_of(outcome))
        return outcome

    def _apply(self, connection: Connection, wanted: Sequence[Audited[P]]) -> Sequence[R | RequestRejected]:
        outcomes = self._apply_all(connection, [one.payload for one in wanted])
        entries = [
            _values(one.change, one.change.subject or self._subject_of(outcome), one.now)
            for one, outcome in zip(wanted, outcomes, strict=True)
            if one.change is not None and outcome is not False and not isinstance(outcome, RequestRejected)
        ]
        if entries:
            connection.execute(_INSERT, entries)
        return outcomes


def _nothing(_: Connection, wanted: Sequence[None]) -> list[None]:
    return list(wanted)


def _forget(connection: Connection, limits: Sequence[datetime]) -> list[int]:
    return [connection.execute(_DELETE_OLD, {"before": before}).rowcount for before in limits]


_RECORD = AuditedWrite(Write[None, None](_nothing, rank=0))
FORGET = Write[datetime, int](_forget, rank=8)
"""Deletes at most FORGET_BATCH entries that are older, the oldest first. Outcome: their number."""


class SqlAuditLog:
    """Implements gateway.contract.audit.AuditLog. `reading` yields a connection; `clock` is aware."""

    def __init__(
        self,
        reading: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
        writer: Writer,
        clock: Callable[[], datetime],
    ) -> None:
        self._reading = reading
        self._writer = writer
        self._clock = clock

    async def record(self, change: Change) -> None:
        await _RECORD.do(self._writer, None, change, self._clock())

    async def changes(self, *, before: int | None = None, limit: int = 100) -> Sequence[StoredChange]:
        wanted = {"before": MAX_ID if before is None else min(before, MAX_ID), "limit": limit}
        async with self._reading() as connection:
            return [_stored(row) for row in await connection.execute(_SELECT, wanted)]


def record_change(connection: Connection, change: Change, now: datetime) -> None:
    """Make an entry in the connection's transaction. Log it with `log_change` when that is committed."""
    connection.execute(_INSERT, [_values(change, change.subject, now)])


def log_change(change: Change, subject: str = "") -> None:
    """Write the line of a committed change. subject: of a change that does not name it."""
    detail = "".join(f", {name} {value}" for name, value in change.detail.items())
    log.info("%s %s by %s%s", change.action, change.subject or subject, change.actor, detail)


def _values(change: Change, subject: str, now: datetime) -> dict[str, Any]:
    return {
        "at": now,
        "actor": change.actor.name,
        "key_id": change.actor.key_id,
        "source": change.actor.source,
        "action": change.action,
        "subject": without_secrets(subject),
        "detail": {
            name: without_secrets(value) if isinstance(value, str) else value
            for name, value in change.detail.items()
        },
    }


def _stored(row: Row[Any]) -> StoredChange:
    actor = Actor(row.actor, row.source, row.key_id)
    return StoredChange(row.id, row.at, Change(actor, row.action, row.subject, row.detail))
