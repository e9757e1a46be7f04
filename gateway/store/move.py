"""Copies a SQLite file into an empty PostgreSQL database."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Row,
    Table,
    create_engine,
    delete,
    func,
    insert,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

from gateway.contract.errors import StorageFailed
from gateway.store import schema_migration
from gateway.store.away import reason_of
from gateway.store.engine import Database
from gateway.store.sqlite_file import SqliteFile
from gateway.store.tables import deleted, metadata

BATCH_ROWS = 500
BATCH_BYTES = 8 * 1024 * 1024

Say = Callable[[str, int], None]


async def move(source_url: str, source: SqliteFile, target: Database, say: Say) -> Mapping[str, int]:
    """Copy all rows in one transaction, and return the number of rows of each table.

    Raises StorageFailed, and then the target is as it was: if a gateway uses one of the two databases, if the
    target is not empty, or if it does not have as many rows as the source in the end.

    Args:
        source_url: of `source`.
        say: called with the name of each table and its rows when they are copied.
    """
    async with source.opened(), target.opened():
        engine = create_engine(make_url(source_url).set(drivername="sqlite"))
        try:
            with engine.connect() as reading:
                schema_migration.check(reading)
                return await target.transact(lambda writing: _copy(reading, writing, say))
        except (SQLAlchemyError, OSError) as exc:
            raise StorageFailed(f"Nothing was moved: {reason_of(exc)}.") from exc
        finally:
            engine.dispose()


def _copy(reading: Connection, writing: Connection, say: Say) -> Mapping[str, int]:
    _prepare(writing)
    moved = {table.name: _copy_table(reading, writing, table, say) for table in metadata.sorted_tables}
    for name, last_id in reading.execute(text("SELECT name, seq FROM sqlite_sequence")).all():
        # Ids of deleted rows are not used again: figures are counted by the last id.
        if name in metadata.tables and last_id > 0:
            sequence = {"name": name, "last": last_id}
            writing.execute(text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)"), sequence)
    for table in metadata.sorted_tables:
        counts = [one.execute(select(func.count()).select_from(table)).scalar() for one in (reading, writing)]
        if counts[0] != counts[1]:
            raise StorageFailed(
                f"Nothing was moved: {table.name} has {counts[0]} rows, but {counts[1]} arrived."
            )
    return moved


def _prepare(writing: Connection) -> None:
    """Create the schema if there is none. Raises StorageFailed if there are rows, except those that the
    migrations make."""
    if schema_migration.current(writing) is None:
        schema_migration.upgrade(writing)
    schema_migration.check(writing)
    writing.execute(delete(deleted).where(deleted.c.rows == 0))
    for table in metadata.sorted_tables:
        if writing.execute(select(table).limit(1)).first() is not None:
            raise StorageFailed(f"Nothing was moved: the target is not empty, it has rows in {table.name}.")


def _copy_table(reading: Connection, writing: Connection, table: Table, say: Say) -> int:
    rows = reading.execution_options(yield_per=50).execute(select(table).order_by(*table.primary_key))
    moved = 0
    for batch in _batches(table, rows):
        writing.execute(insert(table), batch)
        moved += len(batch)
    say(table.name, moved)
    return moved


def _batches(table: Table, rows: Any) -> Iterator[list[dict[str, Any]]]:
    whole = {column.name for column in table.c if isinstance(column.type, BigInteger)}
    batch: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        batch.append(_values(row, whole))
        size += sum(len(value) for value in row if isinstance(value, str | bytes))
        if len(batch) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _values(row: Row[Any], whole: set[str]) -> dict[str, Any]:
    """Return a row's values. SQLite stores a sum beyond 64 bits as a float."""
    values = dict(row._mapping)
    for name in whole:
        if isinstance(values[name], float):
            values[name] = int(min(max(values[name], -(2**63)), 2**63 - 1))
    return values
