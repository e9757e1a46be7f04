"""Statements that go to the driver as they are."""

import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from importlib import import_module

import pytest
from sqlalchemy import Connection, Dialect, bindparam, create_engine, insert, select, update
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.exc import IntegrityError, OperationalError

import gateway.store
from gateway.store.statements import ChangedRow, NewRows, Statement, upsert
from gateway.store.tables import metadata, secrets, sessions

ADD = Statement(insert(secrets), ("name", "value", "created_at"))
VALUE = Statement(select(secrets.c.value).where(secrets.c.name == bindparam("wanted")))
_POSTGRESQL: Dialect = asyncpg.dialect()  # type: ignore[no-untyped-call]
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@contextmanager
def in_memory() -> Iterator[Connection]:
    """A connection to an empty database."""
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def all_statements() -> list[Statement]:
    modules = [
        import_module(f"gateway.store.{module.name}")
        for module in pkgutil.iter_modules(gateway.store.__path__)
    ]
    return [value for module in modules for value in vars(module).values() if isinstance(value, Statement)]


def test_every_statement_can_be_compiled_for_postgresql() -> None:
    texts = [statement.compiled_for(_POSTGRESQL).text for statement in all_statements()]

    assert len(texts) > 10
    assert all("?" not in text for text in texts)


def test_values_are_converted_as_their_columns_say() -> None:
    with in_memory() as connection:
        metadata.create_all(connection)
        elsewhere = NOON.astimezone(timezone(timedelta(hours=2)))
        ADD.run(connection, [{"name": "a\0b\ud800", "value": b"1", "created_at": elsewhere}])

        assert VALUE.row(connection, {"wanted": "a\ufffdb\ufffd"}) == (b"1",)
        assert connection.execute(select(secrets.c.created_at)).scalar() == NOON


def session(key: str, uuid: str) -> dict[str, object]:
    times = {"created_at": NOON, "updated_at": NOON}
    return {"user_id": "", "key": key, "uuid": uuid, "title": "", "title_folded": "", **times}


ADD_SESSION = NewRows(
    upsert(sessions, lambda new: new.on_conflict_do_nothing(index_elements=["key"])),
    tuple(session("", "")),
    key="key",
)


SET_TITLE = ChangedRow(
    update(sessions).where(sessions.c.id == bindparam("wanted"), sessions.c.title == bindparam("old")),
    ("title",),
    id="wanted",
    told="key",
)


def test_new_rows_have_ids_by_key_without_those_that_were_there() -> None:
    with in_memory() as connection:
        metadata.create_all(connection)

        first = ADD_SESSION.ids(connection, [session("a", "1"), session("b", "2")])
        second = ADD_SESSION.ids(connection, [session("c", "3"), session("a", "4"), session("d", "5")])
        stored = {key: id for id, key in connection.execute(select(sessions.c.id, sessions.c.key))}

        assert {**first, **second} == stored
        assert set(second) == {"c", "d"}
        with pytest.raises(IntegrityError):
            ADD_SESSION.ids(connection, [session("e", "5")])
        assert ADD_SESSION.ids(connection, []) == {}


def test_changed_rows_are_those_that_the_condition_found() -> None:
    with in_memory() as connection:
        metadata.create_all(connection)
        a, b = ADD_SESSION.ids(connection, [session("a", "1"), session("b", "2")]).values()

        changed = SET_TITLE.ids(
            connection,
            [
                {"wanted": b, "old": "", "title": "new"},
                {"wanted": a, "old": "another", "title": "new"},
                {"wanted": b + 1, "old": "", "title": "new"},
            ],
        )

        assert changed == {b}
        assert connection.execute(select(sessions.c.title).order_by(sessions.c.id)).scalars().all() == [
            "",
            "new",
        ]


def test_changed_rows_tell_a_column() -> None:
    with in_memory() as connection:
        metadata.create_all(connection)
        a, b = ADD_SESSION.ids(connection, [session("a", "1"), session("b", "2")]).values()

        told = SET_TITLE.told(
            connection,
            [
                {"wanted": b, "old": "", "title": "new"},
                {"wanted": a, "old": "another", "title": "new"},
                {"wanted": a, "old": "", "title": "newer"},
                {"wanted": a, "old": "", "title": "too late"},
            ],
        )

        assert told == {a: "a", b: "b"}
        assert SET_TITLE.told(connection, []) == {}


def test_what_the_driver_raises_is_sqlalchemys_and_holds_no_value() -> None:
    row = {"name": "hunter2", "value": b"", "created_at": NOON}
    with in_memory() as connection:
        with pytest.raises(OperationalError, match="no such table"):
            VALUE.rows(connection, [{"wanted": "hunter2"}])
        metadata.create_all(connection)
        with pytest.raises(IntegrityError) as refused:
            ADD.run(connection, [row, row])

    assert "hunter2" not in str(refused.value)
