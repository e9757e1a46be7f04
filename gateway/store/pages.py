"""Selects pages with a maximum size: the database sums the lengths of rows before it returns them."""

from typing import Any

from sqlalchemy import ColumnElement, Select, Table, Text, cast, func, null, select

_OF_ONE_REPLY = ("event_lengths", "request", "continued")


def length_of(*columns: ColumnElement[Any]) -> ColumnElement[int]:
    """Return the expression for the total characters of these columns in a row."""
    length: ColumnElement[int] = func.length("")
    for column in columns:
        length = length + func.coalesce(func.length(cast(column, Text)), 0)
    return length


def columns_of(table: Table) -> list[ColumnElement[Any]]:
    """Return the columns of a page. Those that only the read of one reply needs are NULL.

    A row without them would raise AttributeError twice for each, which takes as long as the rest of the row.
    """
    return [null().label(column.name) if column.name in _OF_ONE_REPLY else column for column in table.columns]


def page_of(
    table: Table, wanted: Select[Any], length: ColumnElement[int], max_chars: int, *, descending: bool = False
) -> Select[Any]:
    """Select the first rows of `wanted` up to the one at which they exceed `max_chars`; at least one.

    Args:
        wanted: ids of `table`, limited and ordered by id.
        length: of a row, in characters.
        max_chars: of a page; its last row may exceed it.
        descending: True if `wanted` is in descending order.
    """
    rows = wanted.add_columns(length.label("length")).subquery()
    id = rows.c.id.desc() if descending else rows.c.id
    up_to = func.sum(rows.c.length).over(order_by=id)
    ids = select(rows.c.id, (up_to - rows.c.length).label("before")).subquery()
    page = select(*columns_of(table)).join(ids, table.c.id == ids.c.id).where(ids.c.before < max_chars)
    return page.order_by(table.c.id.desc() if descending else table.c.id)
