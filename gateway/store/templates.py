"""The TemplateStore in a SQL database."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.errors import NotFound, QuotaReached
from gateway.contract.requests import Sampling
from gateway.contract.store import MAX_PAGE_CHARS
from gateway.contract.templates import StoredTemplate, Template
from gateway.store.columns import MAX_ID
from gateway.store.pages import length_of, page_of
from gateway.store.tables import templates
from gateway.store.writer import Write, Writer

# SQLAlchemy requires names of bound values in UPDATE to differ from column names.
_THIS = (templates.c.id == bindparam("template_id")) & (templates.c.user_id == bindparam("owner"))
_COUNT = select(func.count()).select_from(templates).where(templates.c.user_id == bindparam("owner"))
_SELECT_PAGE = page_of(
    templates,
    select(templates.c.id)
    .where(templates.c.user_id == bindparam("owner"), templates.c.id > bindparam("after"))
    .order_by(templates.c.id)
    .limit(bindparam("most")),
    length_of(templates.c.system_prompt, templates.c.sampling),
    MAX_PAGE_CHARS,
)
_SELECT_ONE = select(templates).where(_THIS)
_INSERT = insert(templates).returning(*templates.c)
_UPDATE = update(templates).where(_THIS).returning(*templates.c)
_DELETE = delete(templates).where(_THIS)

_Change = tuple[str, int, Template, datetime]


def _replace(connection: Connection, wanted: Sequence[_Change]) -> list[StoredTemplate | NotFound]:
    return [_replace_one(connection, *change) for change in wanted]


def _replace_one(
    connection: Connection, user_id: str, template_id: int, template: Template, now: datetime
) -> StoredTemplate | NotFound:
    changed = _UPDATE.values(_values(template, now))
    row = connection.execute(changed, {"owner": user_id, "template_id": template_id}).first()
    return _missing() if row is None else _stored(row)


def _delete(connection: Connection, wanted: Sequence[tuple[str, int]]) -> list[NotFound | None]:
    return [
        None
        if connection.execute(_DELETE, {"owner": user_id, "template_id": template_id}).rowcount
        else _missing()
        for user_id, template_id in wanted
    ]


_REPLACE_TEMPLATE = Write[_Change, StoredTemplate](_replace, rank=0)
_DELETE_TEMPLATE = Write[tuple[str, int], None](_delete, rank=0)


class SqlTemplates:
    """Implements gateway.contract.templates.TemplateStore.

    Args:
        reading: yields a connection.
        clock: returns the time, aware.
        most: maximum templates of a user.
    """

    def __init__(
        self,
        reading: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
        writer: Writer,
        clock: Callable[[], datetime],
        most: int,
    ) -> None:
        self._reading = reading
        self._writer = writer
        self._clock = clock
        self._most = most
        self._create = Write[tuple[str, Template, datetime], StoredTemplate](self._insert, rank=0)

    async def create(self, user_id: str, template: Template) -> StoredTemplate:
        return await self._writer.do(self._create, (user_id, template, self._clock()))

    async def all(self, user_id: str, *, after: int = 0, limit: int = 200) -> Sequence[StoredTemplate]:
        wanted = {"owner": user_id, "after": min(after, MAX_ID), "most": limit}
        async with self._reading() as connection:
            return [_stored(row) for row in await connection.execute(_SELECT_PAGE, wanted)]

    async def one(self, user_id: str, template_id: int) -> StoredTemplate:
        _check_id(template_id)
        async with self._reading() as connection:
            row = (
                await connection.execute(_SELECT_ONE, {"owner": user_id, "template_id": template_id})
            ).first()
        if row is None:
            raise _missing()
        return _stored(row)

    async def replace(self, user_id: str, template_id: int, template: Template) -> StoredTemplate:
        _check_id(template_id)
        return await self._writer.do(_REPLACE_TEMPLATE, (user_id, template_id, template, self._clock()))

    async def delete(self, user_id: str, template_id: int) -> None:
        _check_id(template_id)
        await self._writer.do(_DELETE_TEMPLATE, (user_id, template_id))

    def _insert(
        self, connection: Connection, wanted: Sequence[tuple[str, Template, datetime]]
    ) -> list[StoredTemplate | QuotaReached]:
        return [self._insert_one(connection, *new) for new in wanted]

    def _insert_one(
        self, connection: Connection, user_id: str, template: Template, now: datetime
    ) -> StoredTemplate | QuotaReached:
        if (connection.scalar(_COUNT, {"owner": user_id}) or 0) >= self._most:
            return QuotaReached(
                f"You have {self._most} templates, and no user may have more (TEMPLATES_PER_USER). Delete "
                "one first: DELETE /api/chatbot/templates/{id}."
            )
        row = {**_values(template, now), "user_id": user_id, "created_at": now}
        return _stored(connection.execute(_INSERT, row).one())


def _check_id(template_id: int) -> None:
    if not 0 < template_id <= MAX_ID:
        raise _missing()


def _missing() -> NotFound:
    return NotFound("No such template.")


def _values(template: Template, now: datetime) -> dict[str, Any]:
    return {
        "name": template.name,
        "system_prompt": template.system_prompt,
        "model": template.model,
        "sampling": template.sampling.as_json(),
        "updated_at": now,
    }


def _stored(row: Row[Any]) -> StoredTemplate:
    template = Template(row.name, row.system_prompt, row.model, Sampling(**row.sampling))
    return StoredTemplate(row.id, template, row.created_at, row.updated_at)
