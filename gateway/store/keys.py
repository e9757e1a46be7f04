"""The KeyStore in a SQL database."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, bindparam, case, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.audit import Actor, Change
from gateway.contract.exchanges import Charge
from gateway.contract.keys import PERMISSIONS, KeyCensus, KeyChange, NewKey, StoredKey, TokensOfDay
from gateway.contract.signals import KEYS
from gateway.store.announcements import announce
from gateway.store.audit import AuditedWrite
from gateway.store.statements import Statement
from gateway.store.tables import api_keys
from gateway.store.writer import Write, Writer

PAGE = 200

_SELECT_PAGE = select(api_keys).where(api_keys.c.id > bindparam("after")).order_by(api_keys.c.id).limit(PAGE)
_COUNT = select(
    func.count(), func.count(api_keys.c.revoked_at), func.coalesce(func.sum(api_keys.c.changes), 0)
).select_from(api_keys)
_INSERT = insert(api_keys).returning(api_keys.c.id)
# SQLAlchemy requires names of bound values in UPDATE to differ from column names.
_REVOKE = (
    update(api_keys)
    .where(api_keys.c.id == bindparam("key_id"), api_keys.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("now"))
)
_CHANGE = (
    update(api_keys)
    .where(api_keys.c.id == bindparam("key_id"), api_keys.c.revoked_at.is_(None))
    .values(changes=api_keys.c.changes + 1)
)
_NOTE_USED = (
    update(api_keys).where(api_keys.c.id == bindparam("key_id")).values(last_used_at=bindparam("now"))
)

_IS_THE_DAY = api_keys.c.used_day >= bindparam("day")
_USED_ON = (
    select(api_keys.c.id, api_keys.c.used_tokens)
    .where(
        api_keys.c.id > bindparam("after"),
        _IS_THE_DAY,
        api_keys.c.tokens_per_day.is_not(None),
    )
    .order_by(api_keys.c.id)
    .limit(PAGE)
)
_ONE_USED_ON = select(api_keys.c.id, api_keys.c.used_tokens).where(
    api_keys.c.id == bindparam("key_id"), _IS_THE_DAY
)
_tokens = bindparam("tokens", type_=BigInteger)
# A clock that is late adds to the newer day.
_CHARGE = Statement(
    update(api_keys)
    .where(api_keys.c.id == bindparam("key_id"))
    .values(
        used_tokens=case((_IS_THE_DAY, api_keys.c.used_tokens + _tokens), else_=_tokens),
        used_day=case((_IS_THE_DAY, api_keys.c.used_day), else_=bindparam("day")),
    )
)


def charge_keys(connection: Connection, charges: Iterable[tuple[Charge, str]]) -> None:
    """Add tokens to keys. `charges` has the day of each, as `2026-01-31`."""
    sums: dict[tuple[int, str], int] = {}
    for charge, day in charges:
        sums[charge.key_id, day] = sums.get((charge.key_id, day), 0) + charge.tokens
    # In the same order in all processes, which prevents deadlocks.
    rows = [{"key_id": key_id, "day": day, "tokens": sums[key_id, day]} for key_id, day in sorted(sums)]
    if rows:
        _CHARGE.run(connection, rows)


def _charge(connection: Connection, charges: Sequence[tuple[Charge, str]]) -> list[None]:
    charge_keys(connection, charges)
    return [None] * len(charges)


def _create(connection: Connection, wanted: Sequence[tuple[NewKey, datetime]]) -> list[StoredKey]:
    announce(connection, KEYS)
    return [
        StoredKey(connection.execute(_INSERT, _values(key, now)).scalar_one(), key, now)
        for key, now in wanted
    ]


def _revoke(connection: Connection, wanted: Sequence[tuple[int, datetime]]) -> list[bool]:
    announce(connection, KEYS)
    return [
        connection.execute(_REVOKE, {"key_id": key_id, "now": now}).rowcount > 0 for key_id, now in wanted
    ]


def _change(connection: Connection, wanted: Sequence[tuple[int, KeyChange]]) -> list[bool]:
    announce(connection, KEYS)
    return [
        connection.execute(_CHANGE.values(_changed(change)), {"key_id": key_id}).rowcount > 0
        for key_id, change in wanted
    ]


def _changed(change: KeyChange) -> dict[str, Any]:
    wanted = {"tokens_per_day": change.tokens_per_day, "expires_at": change.expires_at}
    return {name: value for name, value in wanted.items() if value != "unchanged"}


def _note_used(connection: Connection, used: Sequence[tuple[Collection[int], datetime]]) -> list[None]:
    rows = [{"key_id": key_id, "now": now} for key_ids, now in used for key_id in key_ids]
    if rows:
        connection.execute(_NOTE_USED, rows)
    return [None for _ in used]


_CREATE_KEYS = AuditedWrite(
    Write[tuple[NewKey, datetime], StoredKey](_create, rank=0), lambda stored: str(stored.id)
)
_REVOKE_KEYS = AuditedWrite(Write[tuple[int, datetime], bool](_revoke, rank=0))
_CHANGE_KEYS = AuditedWrite(Write[tuple[int, KeyChange], bool](_change, rank=0))
_CHARGE_KEYS = Write[tuple[Charge, str], None](_charge, rank=0)
_NOTE_USED_KEYS = Write[tuple[Collection[int], datetime], None](_note_used, rank=8, alone=True)


class SqlKeys:
    """Implements gateway.contract.keys.KeyStore. `reading` yields a connection; `clock` is aware."""

    def __init__(
        self,
        reading: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
        writer: Writer,
        clock: Callable[[], datetime],
    ) -> None:
        self._reading = reading
        self._writer = writer
        self._clock = clock

    async def census(self) -> KeyCensus:
        async with self._reading() as connection:
            made, revoked, changed = (await connection.execute(_COUNT)).one()
        return KeyCensus(made, revoked, int(changed))

    async def all(self) -> Sequence[StoredKey]:
        # Page by page: ten thousand keys at once would block the event loop and delay all streams.
        keys: list[StoredKey] = []
        async with self._reading() as connection:
            while page := (
                await connection.execute(_SELECT_PAGE, {"after": keys[-1].id if keys else 0})
            ).all():
                keys += map(_stored, page)
        return keys

    async def create(self, key: NewKey, by: Actor | None = None) -> StoredKey:
        now = self._clock()
        detail: dict[str, Any] = {
            "user": key.user_id,
            "name": key.name,
            "scopes": ",".join(sorted(key.permissions)),
        }
        if key.tokens_per_day is not None:
            detail["tokens_per_day"] = key.tokens_per_day
        if key.expires_at is not None:
            detail["expires_at"] = key.expires_at.isoformat()
        change = None if by is None else Change(by, "key.create", detail=detail)
        return await _CREATE_KEYS.do(self._writer, (key, now), change, now)

    async def revoke(self, key_id: int, by: Actor | None = None) -> bool:
        now = self._clock()
        change = None if by is None else Change(by, "key.revoke", str(key_id))
        return await _REVOKE_KEYS.do(self._writer, (key_id, now), change, now)

    async def change(self, key_id: int, change: KeyChange, by: Actor | None = None) -> bool:
        detail = {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in _changed(change).items()
        }
        entry = None if by is None else Change(by, "key.change", str(key_id), detail)
        return await _CHANGE_KEYS.do(self._writer, (key_id, change), entry, self._clock())

    async def used_on(self, day: date, key_id: int | None = None) -> Mapping[int, int]:
        used: dict[int, int] = {}
        wanted: dict[str, Any] = {"day": day.isoformat()}
        async with self._reading() as connection:
            if key_id is not None:
                rows = (await connection.execute(_ONE_USED_ON, wanted | {"key_id": key_id})).all()
                return {row.id: row.used_tokens for row in rows}
            while page := (
                await connection.execute(_USED_ON, wanted | {"after": max(used, default=0)})
            ).all():
                used |= {row.id: row.used_tokens for row in page}
        return used

    async def charge(self, charge: Charge) -> None:
        await self._writer.do(_CHARGE_KEYS, (charge, self._clock().date().isoformat()))

    async def note_used(self, key_ids: Collection[int]) -> None:
        await self._writer.do(_NOTE_USED_KEYS, (key_ids, self._clock()))


def _values(key: NewKey, now: datetime) -> dict[str, Any]:
    return {
        "digest": key.digest,
        "prefix": key.prefix,
        "user_id": key.user_id,
        "name": key.name,
        "permissions": ",".join(sorted(key.permissions)),
        "rate_per_minute": key.rate_per_minute,
        "streams": key.streams,
        "tokens_per_day": key.tokens_per_day,
        "expires_at": key.expires_at,
        "created_at": now,
    }


def _stored(row: Row[Any]) -> StoredKey:
    granted = row.permissions.split(",")
    key = NewKey(
        digest=row.digest,
        prefix=row.prefix,
        user_id=row.user_id,
        name=row.name,
        permissions=frozenset(permission for permission in PERMISSIONS if permission in granted),
        rate_per_minute=row.rate_per_minute,
        streams=row.streams,
        tokens_per_day=row.tokens_per_day,
        expires_at=row.expires_at,
    )
    used = None if row.used_day is None else TokensOfDay(date.fromisoformat(row.used_day), row.used_tokens)
    return StoredKey(row.id, key, row.created_at, row.last_used_at, row.revoked_at, used)
