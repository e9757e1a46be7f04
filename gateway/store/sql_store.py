"""The MessageStore in a SQL database. Reads use their own connections; changes go through the writer."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from anyio import CancelScope
from sqlalchemy import ColumnElement, Connection, Row, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.contract.access import Access
from gateway.contract.adoption import TakenOver
from gateway.contract.audit import Actor, Change
from gateway.contract.devices import StoredDevice
from gateway.contract.errors import NotFound, StorageFailed
from gateway.contract.exchanges import Checkpoint, ClaimedStream, Exchange, FinalReply, NewExchange
from gateway.contract.notes import KeptNote, NewNote
from gateway.contract.store import MAX_PAGE_CHARS, StoredMessage, StoredSession
from gateway.store import devices, schema_migration, threads
from gateway.store import idempotency as claims
from gateway.store.adoption import Adoptions
from gateway.store.attachments import SqlAttachments
from gateway.store.audit import SqlAuditLog
from gateway.store.chosen_branches import ChosenBranches
from gateway.store.columns import check_id, storable
from gateway.store.deletions import SqlDeletions
from gateway.store.engine import open_database, storage_failures
from gateway.store.exchanges import Exchanges
from gateway.store.history import latest_finished
from gateway.store.kept_settings import SqlKeptSettings
from gateway.store.keys import SqlKeys
from gateway.store.message_pages import message_page
from gateway.store.new_sessions import NewSession, NewSessions, draw_session_key
from gateway.store.notes import Notes, encoded_note
from gateway.store.parts import for_database
from gateway.store.probe import Probe
from gateway.store.replies import Replies
from gateway.store.reply_owners import SqlReplyOwners
from gateway.store.rooms import ROOM_LIMITS, RoomLimits, SqlRooms
from gateway.store.rows import stored_message, stored_session
from gateway.store.session_changes import SessionChanges
from gateway.store.session_list import listed
from gateway.store.session_quota import SessionQuota
from gateway.store.shared_secrets import SECRET
from gateway.store.sqlite_file import Synchronous
from gateway.store.stored_exchanges import exchange_row
from gateway.store.tables import messages, sessions
from gateway.store.templates import SqlTemplates
from gateway.store.unwritten_ends import UnwrittenEnds, as_told
from gateway.store.usage import SqlUsage
from gateway.store.writer import Writer

READ_DEADLINE_S = 5.0

_SESSION = select(sessions).where(sessions.c.id == bindparam("session_id"))


class SqlStore:
    """Implements gateway.contract.store.MessageStore. Raises ValueError if `database_url` cannot be used.

    Args:
        database_url: for SQLAlchemy, with an asynchronous driver, such as `sqlite+aiosqlite:///sluice.db`.
        owner: identifies this start of this gateway as the owner of its replies; None for a random one.
        internal_url: base address at which other gateways reach this one; None: they do not.
        synchronous: SQLite's pragma; FULL also survives a loss of power.
        clock: returns the time, aware; None for that of `membership.clock`.
        draw_key: see NewSessions.

    Attributes:
        membership: the connections with the other gateways on the database; used only while the store runs.
    """

    def __init__(
        self,
        database_url: str,
        *,
        access: Access,
        owner: str | None = None,
        internal_url: str | None = None,
        synchronous: Synchronous = "NORMAL",
        clock: Callable[[], datetime] | None = None,
        draw_key: Callable[[str], str] = draw_session_key,
        sessions_per_user: int = 1_000_000,
        templates_per_user: int = 200,
        attachment_bytes_per_user: int = 2**30,
        room_limits: RoomLimits = ROOM_LIMITS,
    ) -> None:
        self._database = open_database(database_url, synchronous)
        self._writer = Writer(self._database.transact)
        self._probe = Probe(self._writer)
        owner = owner or f"store/{secrets.token_hex(8)}"
        self.membership = self._database.membership(owner, internal_url)
        clock = clock or self.membership.clock.utc
        self._replies = Replies(owner)
        self._adoptions = Adoptions(owner)
        self._unwritten = UnwrittenEnds(self._writer, self._replies.finish, clock)
        self._clock = clock
        self._access = access
        self._session_changes = SessionChanges(access)
        self._chosen = ChosenBranches(access)
        quota = SessionQuota(sessions_per_user, shared=self.membership.gateways is not None)
        self._new_sessions = NewSessions(clock, draw_key, quota)
        self._exchanges = Exchanges(clock, self._new_sessions, quota, access, owner)
        self._notes = Notes(clock, access)
        self.keys = SqlKeys(self._reading, self._writer, clock)
        self.templates = SqlTemplates(self._reading, self._writer, clock, templates_per_user)
        self.attachments = SqlAttachments(self._reading, self._writer, clock, attachment_bytes_per_user)
        self.rooms = SqlRooms(self._reading, self._writer, clock, access, room_limits)
        self.usage = SqlUsage(self._reading, self._writer, clock)
        self.deletions = SqlDeletions(self._reading, self._writer, clock)
        self.audit_log = SqlAuditLog(self._reading, self._writer, clock)
        self.kept_settings = SqlKeptSettings(self._reading, self._writer, clock)
        self.reply_owners = SqlReplyOwners(self._reading, owner, clock)

    @asynccontextmanager
    async def running(self, *, alone: bool = True) -> AsyncIterator[None]:
        """See MessageStore.running. alone: False for short access while a gateway may use the file."""
        async with self._database.opened(alone=alone):
            with storage_failures("be opened"):
                await self._database.transact(self._prepare)
            async with self._writer.running():
                try:
                    yield
                finally:
                    await self.membership.close()

    async def ping(self) -> None:
        await self._probe.check()

    async def sweep(self, dead: Collection[str] | None = None) -> int:
        return await self._writer.do(self._replies.sweep, dead)

    async def adopt(self, dead: Collection[str] | None) -> TakenOver:
        return await self._writer.do(self._adoptions.adopt, dead)

    async def create_session(self, user_id: str, title: str) -> StoredSession:
        return await self._writer.do(self._new_sessions.create, NewSession(user_id, title))

    async def session(self, user_id: str, session_id: int) -> StoredSession:
        async with self._reading() as connection:
            return stored_session(await self._session(connection, user_id, session_id))

    async def rename_session(self, user_id: str, session_id: int, title: str) -> StoredSession:
        check_id(session_id)
        return await self._writer.do(self._session_changes.rename, (user_id, session_id, title))

    async def delete_session(self, user_id: str, session_id: int) -> None:
        check_id(session_id)
        await self._writer.do(self._session_changes.delete, (user_id, session_id))

    async def delete_reply(self, user_id: str, stream_id: str) -> None:
        await self._writer.do(self._session_changes.delete_reply, (user_id, stream_id))

    async def session_named(self, user_id: str, name: str) -> StoredSession:
        named = select(sessions).where(or_(sessions.c.key == name, sessions.c.uuid == name))
        async with self._reading() as connection:
            rows = (await connection.execute(named)).all()
        for row in rows:
            if self._access.may_see(storable(user_id), row.user_id, row.id):
                return stored_session(row)
        raise NotFound("No such session.")

    async def latest_session(self, user_id: str, thread: str) -> StoredSession | None:
        async with self._reading() as connection:
            return await threads.latest_session(connection, user_id, thread, self._clock())

    async def sessions(
        self,
        user_id: str,
        *,
        query: str | None = None,
        before: int | None = None,
        limit: int = 50,
        hidden: bool = False,
    ) -> Sequence[StoredSession]:
        async with self._reading() as connection:
            mark = None if before is None else await self._session(connection, user_id, before)
            page = listed(user_id, query=query, before=mark, limit=limit, hidden=hidden)
            return [stored_session(row) for row in await connection.execute(page)]

    async def messages(
        self, user_id: str, session_id: int, *, after: int = 0, limit: int = 200, path: bool = False
    ) -> Sequence[StoredMessage]:
        unwritten = self._unwritten.held()
        async with self._reading() as connection:
            session = await self._session(connection, user_id, session_id)
            page = await message_page(connection, session.id, after=after, limit=limit, path=path)
        return [as_told(message, unwritten) for message in page]

    async def history(
        self,
        user_id: str,
        session_id: int,
        *,
        max_chars: int,
        max_bytes: int = MAX_PAGE_CHARS,
        last_id: int | None = None,
    ) -> tuple[StoredSession, Sequence[StoredMessage]]:
        async with self._reading() as connection:
            session = await self._session(connection, user_id, session_id)
            latest = await latest_finished(connection, session.id, max_chars, max_bytes, last_id)
        return stored_session(session), latest

    async def message(self, user_id: str, message_id: int) -> StoredMessage:
        check_id(message_id, "message")
        return await self._one(user_id, messages.c.id == message_id, "message")

    async def choose(self, user_id: str, message_id: int) -> StoredSession:
        check_id(message_id, "message")
        return await self._writer.do(self._chosen.choose, (user_id, message_id))

    async def reply(self, user_id: str, stream_id: str) -> StoredMessage:
        return await self._one(user_id, messages.c.stream_id == stream_id, "stream")

    async def exchange(self, user_id: str, stream_id: str) -> Exchange:
        async with self._reading() as connection:
            row = await exchange_row(connection, stream_id)
        if row is None or not self._access.may_see(storable(user_id), row.user_id, row.id):
            raise NotFound("No such stream.")
        return Exchange(*tuple(row)[:-1])

    async def begin(self, exchange: NewExchange) -> Exchange:
        if exchange.session_id is not None:
            check_id(exchange.session_id)
        return await self._writer.do(self._exchanges.begin, await for_database(exchange))

    async def post(self, note: NewNote) -> KeptNote:
        return await self._writer.do(self._notes.post, await encoded_note(note))

    async def claimed(self, user_id: str, key: str) -> ClaimedStream | None:
        async with self._reading() as connection:
            return await claims.claimed_stream(connection, user_id, key, self._clock())

    async def secret(self, name: str) -> bytes:
        return await self._writer.do(SECRET, (name, self._clock()))

    async def device(self, name: str) -> StoredDevice | None:
        async with self._reading() as connection:
            return await devices.device_named(connection, name)

    async def devices(self) -> Sequence[StoredDevice]:
        """Return all registered devices, ordered by name."""
        async with self._reading() as connection:
            return await devices.all_devices(connection)

    async def add_device(self, name: str, user_id: str, by: Actor | None = None) -> StoredDevice:
        """Register a device. Raises Conflict if it is registered for another user."""
        now = self._clock()
        change = None if by is None else Change(by, "device.add", name, {"user": user_id})
        return await devices.ADD.do(self._writer, (name, user_id, now), change, now)

    async def remove_device(self, name: str, by: Actor | None = None) -> bool:
        """Remove a device. Return False if it does not exist."""
        change = None if by is None else Change(by, "device.remove", name)
        return await devices.REMOVE.do(self._writer, name, change, self._clock())

    async def checkpoint(self, checkpoints: Sequence[Checkpoint]) -> Sequence[int]:
        return await self._writer.do(self._replies.checkpoint, checkpoints)

    async def keep_handle(self, exchange: Exchange, handle: Mapping[str, Any]) -> bool:
        return await self._writer.do(self._replies.keep_handle, (exchange, handle))

    async def finish(self, reply: FinalReply) -> bool:
        return await self._writer.do(self._replies.finish, (reply, self._clock()))

    def finish_later(self, reply: FinalReply) -> None:
        self._unwritten.add(reply)

    def _prepare(self, connection: Connection) -> None:
        (schema_migration.upgrade if self._database.migrates else schema_migration.check)(connection)
        claims.forget_old(connection, self._clock())

    async def _session(self, connection: AsyncConnection, user_id: str, session_id: int) -> Row[Any]:
        check_id(session_id)
        row = (await connection.execute(_SESSION, {"session_id": session_id})).first()
        if row is None or not self._access.may_see(storable(user_id), row.user_id, row.id):
            raise NotFound("No such session.")
        return row

    async def _one(self, user_id: str, this: ColumnElement[bool], kind: str) -> StoredMessage:
        unwritten = self._unwritten.held()
        async with self._reading() as connection:
            row = (await connection.execute(select(messages).where(this))).first()
        if row is None or not self._access.may_see(storable(user_id), row.user_id, row.session_id):
            raise NotFound(f"No such {kind}.")
        return as_told(stored_message(row), unwritten)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        if not self._writer.open:
            raise StorageFailed("The store is closed.")
        # anyio cancels a request whose client has left, again and again. Its reads end at READ_DEADLINE_S.
        with storage_failures("answer"), CancelScope(shield=True):
            async with asyncio.timeout(READ_DEADLINE_S), self._database.reader() as connection:
                yield connection
