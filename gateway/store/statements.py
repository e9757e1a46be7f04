"""Statements that SQLAlchemy compiles once, and that then go directly to the driver.

SQLAlchemy's own execution takes longer than the database.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Insert, Select, Table, Update, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import Delete
from sqlalchemy.types import TypeEngine

from gateway.store.columns import StorableText, UtcTime, storable

Values = Mapping[str, Any]

Convert = Callable[[Any], Any]


class Compiled(NamedTuple):
    """The SQL text, and its bound values.

    pick: returns the values in the text's order.
    conversions: for the driver, by the values' places in this order.
    """

    text: str
    pick: Callable[[Values], Iterable[Any]]
    conversions: Sequence[tuple[int, Convert]]


class Statement:
    """One statement, compiled for each dialect when it first runs.

    Values are passed by name and converted according to their columns' types. Results are not converted:
    select only columns of numbers and texts.

    Args:
        statement: for all dialects, or one by each dialect's name.
        columns: those that an INSERT or UPDATE sets, each to the value of its name. An INSERT also needs
            those for which SQLAlchemy has a default; a missing one raises KeyError.
    """

    def __init__(
        self,
        statement: "Insert | Update | Delete | Select[Any] | Mapping[str, Insert | Update]",
        columns: Sequence[str] | None = None,
    ) -> None:
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, Compiled] = {}

    def rows(self, connection: Connection, many: Sequence[Values]) -> Sequence[Any]:
        """Run it once for each item of `many`, in this order, and return the rows of all of them.

        On PostgreSQL several items are one round trip, which does not begin a transaction.
        """
        if not many:
            return []
        compiled = self.compiled_for(connection.dialect)
        wanted = [_in_order(compiled, values) for values in many]
        if len(wanted) > 1 and connection.dialect.driver == "asyncpg":
            return _pipelined(connection, compiled.text, wanted)
        cursor = connection.connection.cursor()
        rows: list[Any] = []
        try:
            for values in wanted:
                cursor.execute(compiled.text, values)
                rows += cursor.fetchall()
        except _driver_error(connection) as error:
            raise _told(connection, compiled, error) from error
        finally:
            cursor.close()
        return rows

    def row(self, connection: Connection, values: Values) -> Any:
        """Run it once and return the first row, or None."""
        rows = self.rows(connection, [values])
        return rows[0] if rows else None

    def run(self, connection: Connection, many: Sequence[Values]) -> None:
        """Run it once for each item of `many`."""
        compiled = self.compiled_for(connection.dialect)
        cursor = connection.connection.cursor()
        try:
            cursor.executemany(compiled.text, [_in_order(compiled, values) for values in many])
        except _driver_error(connection) as error:
            raise _told(connection, compiled, error) from error
        finally:
            cursor.close()

    def changes(self, connection: Connection, many: Sequence[Values]) -> list[tuple[Values, int]]:
        """Run it once for each item of `many`, on SQLite. Return those that changed a row, and the id of the
        row that was inserted last.

        RETURNING would say so too, but SQLite then makes and drops a temporary table each time.
        """
        compiled = self.compiled_for(connection.dialect)
        cursor = connection.connection.cursor()
        changed: list[tuple[Values, int]] = []
        try:
            for values in many:
                cursor.execute(compiled.text, _in_order(compiled, values))
                if cursor.rowcount:
                    changed.append((values, cursor.lastrowid))
        except _driver_error(connection) as error:
            raise _told(connection, compiled, error) from error
        finally:
            cursor.close()
        return changed

    def compiled_for(self, dialect: Dialect) -> Compiled:
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = self._compile(dialect)
        return found

    def _compile(self, dialect: Dialect) -> Compiled:
        statement = self._statement
        chosen = statement[dialect.name] if isinstance(statement, Mapping) else statement
        compiled = chosen.compile(dialect=dialect, column_keys=self._columns)
        assert compiled.positiontup is not None, "a driver that numbers its values"  # noqa: S101
        names = compiled.positiontup
        conversions = [_convert(compiled.binds[name].type, dialect) for name in names]
        return Compiled(
            str(compiled),
            itemgetter(*names) if len(names) > 1 else lambda values: [values[name] for name in names],
            [(place, convert) for place, convert in enumerate(conversions) if convert is not None],
        )


class NewRows(Statement):
    """An INSERT of rows whose ids the database chooses. SQLite runs it without RETURNING: see `changes`.

    Args:
        statement: without RETURNING.
        columns: as of a Statement.
        key: one of these columns, whose values are unique.
    """

    def __init__(self, statement: Insert | Mapping[str, Insert], columns: Sequence[str], key: str) -> None:
        if isinstance(statement, Insert):
            statement = {"sqlite": statement, "postgresql": statement}
        new, made = statement["postgresql"], statement["postgresql"].table.c
        super().__init__({**statement, "postgresql": new.returning(made[key], made.id)}, columns)
        self._key = key

    def ids(self, connection: Connection, many: Sequence[Values]) -> dict[Any, int]:
        """Insert the rows and return their ids by key, without those that ON CONFLICT left out."""
        if connection.dialect.name != "sqlite":
            return dict(map(tuple, self.rows(connection, many)))
        return {values[self._key]: id for values, id in self.changes(connection, many)}


class ChangedRow(Statement):
    """An UPDATE of one row. SQLite runs it without RETURNING: see `changes`.

    Args:
        statement: without RETURNING.
        columns: as of a Statement.
        id: name of the value that is the row's id.
        told: the column whose values `told` returns.
    """

    def __init__(self, statement: Update, columns: Sequence[str], id: str, told: str = "id") -> None:
        row = statement.table.c
        returned = dict.fromkeys((row.id, row[told]))
        super().__init__({"sqlite": statement, "postgresql": statement.returning(*returned)}, columns)
        self._id = id
        self._told = Statement(select(row[told]).where(row.id == bindparam(id)))

    def ids(self, connection: Connection, many: Sequence[Values]) -> set[int]:
        """Run it once for each item of `many`, and return the ids of the rows that there were."""
        if connection.dialect.name != "sqlite":
            return {id for id, *_ in self.rows(connection, many)}
        return {values[self._id] for values, _ in self.changes(connection, many)}

    def told(self, connection: Connection, many: Sequence[Values]) -> dict[int, Any]:
        """As `ids`, with the column's value for each id."""
        if connection.dialect.name != "sqlite":
            return dict(map(tuple, self.rows(connection, many)))
        changed = [values for values, _ in self.changes(connection, many)]
        found = self._told.rows(connection, changed)
        return {values[self._id]: told for values, (told,) in zip(changed, found, strict=True)}


def upsert(
    table: Table, then: Callable[["sqlite.Insert | postgresql.Insert"], Insert]
) -> Mapping[str, Insert]:
    """Return an INSERT with ON CONFLICT for each dialect: SQLAlchemy has none that is common to them.

    then: builds the statement from `insert(table)`.
    """
    return {"sqlite": then(sqlite.insert(table)), "postgresql": then(postgresql.insert(table))}


_times: dict[str, Convert] = {}
"""By dialect. One conversion for all columns: all values of a transaction are the same time."""


def _convert(type_: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    if isinstance(type_, StorableText):
        return storable  # most values are texts, and SQLAlchemy's processor takes three calls for one
    convert = type_.dialect_impl(dialect).bind_processor(dialect)
    if isinstance(type_, UtcTime) and convert is not None:
        return _times.setdefault(dialect.name, lru_cache(maxsize=1)(convert))
    return convert


def _in_order(compiled: Compiled, values: Values) -> list[Any]:
    bound = list(compiled.pick(values))
    for place, convert in compiled.conversions:
        if (value := bound[place]) is not None:
            bound[place] = convert(value)
    return bound


def _pipelined(connection: Connection, sql: str, many: Sequence[Sequence[Any]]) -> Sequence[Any]:
    from asyncpg import InterfaceError, PostgresError

    driver: Any = connection.connection.dbapi_connection
    try:
        return driver.run_async(lambda asyncpg: asyncpg.fetchmany(sql, many))  # type: ignore[no-any-return]
    except (PostgresError, InterfaceError) as error:
        raise DBAPIError(
            sql,
            None,
            error,
            hide_parameters=True,
            connection_invalidated=driver.driver_connection.is_closed(),
        ) from error


def _driver_error(connection: Connection) -> type[Exception]:
    return connection.dialect.loaded_dbapi.Error


def _told(connection: Connection, compiled: Compiled, error: Exception) -> BaseException:
    """Return the error that SQLAlchemy would raise, without the values: logs must not contain messages."""
    return DBAPIError.instance(
        compiled.text,
        None,
        error,
        _driver_error(connection),
        hide_parameters=True,
        dialect=connection.dialect,
    )
