"""A MessageStore in memory: the whole of the contract in one file, for tests that need no SQL."""

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from gateway.contract.access import Access
from gateway.contract.authors import Author
from gateway.contract.branches import FIRST, Spot
from gateway.contract.content import chars_of, parts_of, size_of, text_of
from gateway.contract.continued import ReplySoFar
from gateway.contract.devices import StoredDevice
from gateway.contract.error_codes import REFUSALS
from gateway.contract.errors import Conflict, NotFound, QuotaReached, StorageFailed
from gateway.contract.exchanges import ClaimedStream, Exchange, NewExchange
from gateway.contract.notes import KeptNote, NewNote
from gateway.contract.record import replace
from gateway.contract.store import MAX_PAGE_CHARS, StoredMessage, StoredSession
from gateway.contract.threads import HIDDEN_PREFIX, thread_since
from gateway.core.access import OwnerAccess
from gateway.store.columns import storable
from gateway.store.parts import encoded, parts_in
from tests.store.memory_replies import Kept, MemoryDatabase, MemoryReplies

KEY_LIFE = timedelta(hours=24)


class MemoryStore(MemoryReplies):
    """Each change is made in one step, in the order in which they were asked for."""

    def __init__(
        self,
        database: MemoryDatabase,
        *,
        access: Access | None = None,
        owner: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sessions_per_user: int = 1_000_000,
    ) -> None:
        super().__init__(database, owner or f"memory/{secrets.token_hex(8)}")
        self._access = access or OwnerAccess()
        self._clock = clock
        self._most = sessions_per_user

    # Sessions

    async def create_session(self, user_id: str, title: str) -> StoredSession:
        await self._turn()
        return self._new_session(user_id, title, self._clock())

    def _new_session(self, user_id: str, title: str, now: datetime) -> StoredSession:
        user_id = storable(user_id)
        if sum(session.user_id == user_id for session in self._kept.sessions.values()) >= self._most:
            raise QuotaReached(f"No user may have more than {self._most} sessions (SESSIONS_PER_USER).")
        self._kept.last_session = id = self._kept.last_session + 1
        key = f"{user_id}-{secrets.token_hex(3)}"
        session = StoredSession(id, str(uuid4()), key, user_id, storable(title)[:120], now, now)
        self._kept.sessions[id] = session
        return session

    def _session(self, user_id: str, session_id: int, may: Callable[[str, str, int], bool]) -> StoredSession:
        session = self._kept.sessions.get(session_id)
        if session is None or not may(storable(user_id), session.user_id, session_id):
            raise NotFound("No such session.")
        return session

    async def session(self, user_id: str, session_id: int) -> StoredSession:
        await self._turn()
        return self._session(user_id, session_id, self._access.may_see)

    async def session_named(self, user_id: str, name: str) -> StoredSession:
        await self._turn()
        ids = [session.id for session in self._kept.sessions.values() if name in (session.key, session.uuid)]
        return self._session(user_id, ids[0] if ids else 0, self._access.may_see)

    async def rename_session(self, user_id: str, session_id: int, title: str) -> StoredSession:
        await self._turn()
        session = self._session(user_id, session_id, self._access.may_manage)
        self._kept.sessions[session_id] = replace(session, title=storable(title))
        return self._kept.sessions[session_id]

    async def delete_session(self, user_id: str, session_id: int) -> None:
        await self._turn()
        self._session(user_id, session_id, self._access.may_manage)
        del self._kept.sessions[session_id]
        self._kept.threads.pop(session_id, None)
        for id in [kept.message.id for kept in self._of_session(session_id)]:
            del self._kept.messages[id]
        self._kept.claims = {
            place: claim for place, claim in self._kept.claims.items() if claim[1] in self._kept.messages
        }

    async def delete_reply(self, user_id: str, stream_id: str) -> None:
        await self._turn()
        kept = self._kept.messages
        reply = next((each.message for each in kept.values() if each.message.stream_id == stream_id), None)
        if reply is None:
            raise NotFound("No such stream.")
        if not self._access.may_manage(storable(user_id), kept[reply.id].user_id, reply.session_id):
            raise NotFound("No such stream.")
        gone, parent_id = {reply.id}, reply.parent_id
        others = [each for each in kept.values() if each.message.parent_id == parent_id]
        if parent_id is not None and kept[parent_id].message.role == "user" and len(others) == 1:
            gone.add(parent_id)
            parent_id = kept[parent_id].message.parent_id
        for each in kept.values():
            if each.message.parent_id == reply.id:
                each.message = replace(each.message, parent_id=parent_id)
        for id in gone:
            del kept[id]
        self._kept.claims = {place: claim for place, claim in self._kept.claims.items() if claim[1] in kept}

    async def latest_session(self, user_id: str, thread: str) -> StoredSession | None:
        await self._turn()
        return self._latest(user_id, thread, self._clock())

    def _latest(self, user_id: str, thread: str, now: datetime) -> StoredSession | None:
        of_thread = [
            session
            for session in self._kept.sessions.values()
            if session.user_id == storable(user_id)
            and self._kept.threads.get(session.id) == thread
            and session.updated_at > thread_since(thread, now)
        ]
        return max(of_thread, key=_activity, default=None)

    async def sessions(
        self,
        user_id: str,
        *,
        query: str | None = None,
        before: int | None = None,
        limit: int = 50,
        hidden: bool = False,
    ) -> Sequence[StoredSession]:
        await self._turn()
        folded = storable(query or "").casefold()
        found = [
            session
            for session in self._kept.sessions.values()
            if session.user_id == storable(user_id)
            and (folded in session.title.casefold() or self._says(session.id, storable(query or "")))
            and (hidden or not self._kept.threads.get(session.id, "").startswith(HIDDEN_PREFIX))
        ]
        if before is not None:
            mark = _activity(self._session(user_id, before, self._access.may_see))
            found = [session for session in found if _activity(session) < mark]
        return sorted(found, key=_activity, reverse=True)[:limit]

    # Messages

    def _says(self, session_id: int, query: str) -> bool:
        """Return whether a message of the session contains this, whatever the case of ASCII letters."""

        def folded(text: str) -> bytes:
            return text.encode().lower()

        return any(folded(query) in folded(kept.message.content) for kept in self._of_session(session_id))

    def _of_session(self, session_id: int) -> list[Kept]:
        return [kept for kept in self._kept.messages.values() if kept.message.session_id == session_id]

    async def messages(
        self, user_id: str, session_id: int, *, after: int = 0, limit: int = 200, path: bool = False
    ) -> Sequence[StoredMessage]:
        await self._turn()
        self._session(user_id, session_id, self._access.may_see)
        on_path = {message.id for message in self._path(session_id, None)}
        page: list[StoredMessage] = []
        length = 0
        for kept in self._of_session(session_id):
            if path and kept.message.id not in on_path:
                continue
            if kept.message.id > after and len(page) < limit and length < MAX_PAGE_CHARS:
                page.append(self._with_siblings(kept.message) if path else kept.message)
                length += _length(kept.message)
        return page

    def _with_siblings(self, message: StoredMessage) -> StoredMessage:
        stored = [kept.message for kept in self._of_session(message.session_id)]
        siblings = [each.id for each in stored if each.parent_id == message.parent_id]
        return replace(message, siblings=tuple(siblings))

    async def message(self, user_id: str, message_id: int) -> StoredMessage:
        await self._turn()
        kept = self._message(user_id, message_id, self._access.may_see)
        return replace(kept.message, epoch=kept.epoch)

    def _message(self, user_id: str, id: int, may: Callable[[str, str, int], bool]) -> Kept:
        kept = self._kept.messages.get(id)
        if kept is None or not may(storable(user_id), kept.user_id, kept.message.session_id):
            raise NotFound("No such message.")
        return kept

    async def choose(self, user_id: str, message_id: int) -> StoredSession:
        await self._turn()
        session_id = self._message(user_id, message_id, self._access.may_write).message.session_id
        below = {message_id}
        ids = [kept.message.id for kept in self._of_session(session_id)]
        below |= {id for id in ids if message_id in {above.id for above in self._upwards(id)}}
        leaf_id = None if max(below) == max(ids) else max(below)
        self._kept.sessions[session_id] = replace(self._kept.sessions[session_id], leaf_id=leaf_id)
        return self._kept.sessions[session_id]

    async def history(
        self,
        user_id: str,
        session_id: int,
        *,
        max_chars: int,
        max_bytes: int = MAX_PAGE_CHARS,
        last_id: int | None = None,
    ) -> tuple[StoredSession, Sequence[StoredMessage]]:
        await self._turn()
        session = self._session(user_id, session_id, self._access.may_see)
        latest: list[StoredMessage] = []
        for message in self._path(session_id, last_id):
            if message.status == "streaming" or not (message.content or message.parts):
                continue
            if self._was_refused(message):
                continue
            max_bytes -= sum(map(size_of, message.parts))
            message = message if max_bytes >= 0 else replace(message, parts=())
            max_chars -= chars_of(message.parts or message.content)
            if max_chars < 0:
                break
            latest.append(message)
        return session, latest[::-1]

    def _was_refused(self, question: StoredMessage) -> bool:
        replies = [kept.message for kept in self._of_session(question.session_id)]
        replies = [reply for reply in replies if reply.parent_id == question.id and question.role == "user"]
        codes = {reply.error.code for reply in replies if reply.error is not None}
        return bool(codes & {*REFUSALS}) and not any(
            reply.content for reply in replies if reply.role == "assistant"
        )

    def _path(self, session_id: int, last_id: int | None) -> list[StoredMessage]:
        """The last message that the session shows and those above it, the latest first."""
        return self._upwards(self._leaf(session_id) if last_id is None else last_id)

    def _leaf(self, session_id: int) -> int | None:
        ids = [kept.message.id for kept in self._of_session(session_id)]
        chosen = self._kept.sessions[session_id].leaf_id
        return chosen if chosen in ids else max(ids, default=None)

    def _upwards(self, id: int | None) -> list[StoredMessage]:
        path: list[StoredMessage] = []
        while id is not None:
            path.append(self._kept.messages[id].message)
            id = path[-1].parent_id
        return path

    def _stream(self, user_id: str, stream_id: str) -> Kept:
        for kept in self._kept.messages.values():
            if kept.message.stream_id == storable(stream_id) and self._access.may_see(
                storable(user_id), kept.user_id, kept.message.session_id
            ):
                return kept
        raise NotFound("No such stream.")

    async def reply(self, user_id: str, stream_id: str) -> StoredMessage:
        await self._turn()
        kept = self._stream(user_id, stream_id)
        return replace(kept.message, epoch=kept.epoch)

    async def exchange(self, user_id: str, stream_id: str) -> Exchange:
        await self._turn()
        kept = self._stream(user_id, stream_id)
        return self._exchange(kept)

    def _exchange(self, kept: Kept) -> Exchange:
        message, session = kept.message, self._kept.sessions[kept.message.session_id]
        return Exchange(
            session.id,
            session.key,
            session.uuid,
            self._question_of(message.id),
            message.id,
            message.uuid,
            kept.opens,
            kept.epoch,
        )

    def _question_of(self, id: int) -> int:
        return next(message.id for message in self._upwards(id) if message.role == "user")

    def _spot(self, new: NewExchange, session_id: int) -> tuple[int | None, int | None]:
        """The parent, and the question if it is stored; see gateway/contract/branches.py."""
        stored = [each.message for each in self._of_session(session_id)]
        last = self._leaf(session_id)
        branch = new.branch
        if branch is None:
            return last, None
        if isinstance(branch, Spot):
            return branch
        parts = () if isinstance(new.content, str) else parts_in(encoded(new).parts, 0)
        told = storable(text_of(new.content))
        same = [each for each in stored if (each.role, each.content, each.parts) == ("user", told, parts)]
        named = [each.id for each in stored if branch.after in (each.uuid, each.stream_id)]
        parent: int | None
        if branch.after and named:
            parent = self._end(named[0])
            if branch.asked == "answered":
                return parent, self._question_of(parent)
            found = [each.id for each in same if each.parent_id == parent]
        elif branch.after == FIRST and branch.asked != "answered":
            parent = None if branch.asked == "again" else last
            found = [each.id for each in same if each.parent_id is None]
        else:
            parent = last
            found = [each.id for each in same]
            if branch.asked == "now":
                found = self._in_vain(stored, found) if branch.after is None else []
            if found and branch.asked == "answered":
                return self._end(found[-1]), found[-1]
        return (found[-1], found[-1]) if found else (parent, None)

    @staticmethod
    def _in_vain(stored: Sequence[StoredMessage], questions: Sequence[int]) -> list[int]:
        """Those of the questions that no complete reply follows, and that get none now."""
        replies = [each for each in stored if each.role == "assistant"]
        done = max((each.id for each in replies if each.status == "complete"), default=0)
        running = {each.parent_id for each in replies if each.status == "streaming"}
        return [id for id in questions if id > done and id not in running]

    def _end(self, id: int) -> int:
        chain = {id}
        for kept in self._kept.messages.values():
            if kept.message.role == "assistant" and kept.message.parent_id in chain:
                chain.add(kept.message.id)
        return max(chain)

    async def begin(self, exchange: NewExchange) -> Exchange:
        await self._turn()
        now, new = self._clock(), exchange
        session_id = new.session_id
        if session_id is None and new.thread is not None:
            latest = self._latest(new.user_id, new.thread, now)
            session_id = None if latest is None else latest.id
        if session_id is not None:
            self._session(new.user_id, session_id, self._access.may_write)
            there = {None, *(kept.message.id for kept in self._of_session(session_id))}
            if isinstance(new.branch, Spot) and not there.issuperset(new.branch):
                raise NotFound("No such message.")
            author = new.author or Author("user", new.user_id)
            said = [kept.message for kept in self._of_session(session_id)]
            if new.client_id and (new.client_id, author) in [(each.client_id, each.author) for each in said]:
                raise Conflict("This id was used before.")
        place = (storable(new.user_id), storable(new.idempotency.key)) if new.idempotency else None
        if place is not None and self._claim(place, now) is not None:
            raise Conflict("This Idempotency-Key was used before.")
        if new.continues is not None:
            return self._go_on(new, new.continues, place, now)
        if any(kept.message.stream_id == storable(new.stream_id) for kept in self._kept.messages.values()):
            raise StorageFailed("This stream id was used before.")
        opens = session_id is None
        session = self._new_session(new.user_id, new.title, now) if session_id is None else None
        session = session or self._kept.sessions[session_id or 0]
        title = session.title or storable(new.title)[:120]
        parent_id, question_id = self._spot(new, session.id)
        self._kept.sessions[session.id] = replace(session, updated_at=now, title=title, leaf_id=None)
        if new.thread is not None:
            self._kept.threads.setdefault(session.id, new.thread)
        parts = () if isinstance(new.content, str) else parts_in(encoded(new).parts, 0)
        author = new.author or Author("user", storable(new.user_id))
        if question_id is None:
            question = self._add(
                new, session.id, parent_id, author, "user", now, status="complete", parts=parts
            )
            question.message = replace(question.message, content=storable(text_of(new.content)))
            parent_id = question.message.id
        reply = self._add(
            new,
            session.id,
            parent_id,
            Author("assistant", None),
            "assistant",
            now,
            status="streaming",
            stream_id=storable(new.stream_id),
            mode=new.mode,
            delivery=new.delivery,
            request=new.request,
        )
        reply.message = replace(reply.message, client_id=None)
        reply.opens, reply.owner, reply.handle = opens, self._owner, new.handle
        if place is not None and new.idempotency is not None:
            self._kept.claims[place] = (new.idempotency.fingerprint, reply.message.id, now)
        begun = self._exchange(reply)
        asked = self._kept.messages[begun.user_message_id].message
        if question_id is not None:
            return replace(begun, new_question=False)
        return replace(begun, question_uuid=asked.uuid, asked_at=now)

    async def post(self, note: NewNote) -> KeptNote:
        await self._turn()
        self._session(note.user_id, note.session_id, self._access.may_write)
        text = storable(text_of(note.content))
        if (known := self._known(note)) is not None:
            if note.origin == "room" and known.content != text:
                raise Conflict("This id was used before, with another text.")
            return KeptNote(known, is_new=False)
        now, session = self._clock(), self._kept.sessions[note.session_id]
        parent_id = self._leaf(session.id)
        title = session.title or storable(note.title)[:120]
        self._kept.sessions[session.id] = replace(session, updated_at=now, title=title, leaf_id=None)
        kept = self._add(
            note, session.id, parent_id, note.author, note.role, now, status="complete", origin=note.origin
        )
        kept.message = replace(kept.message, content=text, parts=parts_of(note.content))
        return KeptNote(kept.message, is_new=True)

    def _known(self, note: NewNote) -> StoredMessage | None:
        if note.client_id is None:
            return None
        name = storable(note.client_id)
        stored = [each.message for each in self._of_session(note.session_id)]
        if note.origin == "room":
            return next(
                (each for each in stored if (each.client_id, each.author) == (name, note.author)), None
            )
        names = ("client_id", "uuid", "stream_id", "id")
        stream = name[-32:] if name[-33:-32] in ("", "-", "_") else ""
        return next(
            (each for each in stored if {name, stream} & {str(getattr(each, known)) for known in names}), None
        )

    def _go_on(
        self, new: NewExchange, reply: ReplySoFar, place: tuple[str, str] | None, now: datetime
    ) -> Exchange:
        kept = self._kept.messages.get(reply.message_id)
        if kept is None or kept.epoch != reply.epoch or kept.message.status == "streaming":
            raise Conflict("This reply cannot be continued.")
        if any(each.message.parent_id == reply.message_id for each in self._kept.messages.values()):
            raise Conflict("This reply cannot be continued.")
        kept.owner, kept.epoch, kept.handle = self._owner, kept.epoch + 1, new.handle
        kept.message = replace(
            kept.message,
            status="streaming",
            reason=None,
            error=None,
            last_seq=None,
            event_lengths=None,
            mode=new.mode,
            delivery=new.delivery,
            places=reply.places,
            epoch=kept.epoch,
        )
        session = self._kept.sessions[kept.message.session_id]
        self._kept.sessions[session.id] = replace(session, updated_at=now, leaf_id=reply.message_id)
        if place is not None and new.idempotency is not None:
            self._kept.claims[place] = (new.idempotency.fingerprint, reply.message_id, now)
        return replace(self._exchange(kept), new_question=False, continues=True)

    def _add(
        self,
        new: NewExchange | NewNote,
        session_id: int,
        parent_id: int | None,
        author: Author,
        role: Any,
        now: datetime,
        **more: Any,
    ) -> Kept:
        self._kept.last_message = id = self._kept.last_message + 1
        message = StoredMessage(
            *(id, str(uuid4()), session_id, parent_id, author, role, ""),
            created_at=now,
            client_id=None if new.client_id is None else storable(new.client_id),
            **more,
        )
        self._kept.messages[id] = kept = Kept(message, storable(new.user_id))
        return kept

    def _claim(self, place: tuple[str, str], now: datetime) -> tuple[str, int, datetime] | None:
        claim = self._kept.claims.get(place)
        return None if claim is None or claim[2] <= now - KEY_LIFE else claim

    async def claimed(self, user_id: str, key: str) -> ClaimedStream | None:
        await self._turn()
        claim = self._claim((storable(user_id), storable(key)), self._clock())
        if claim is None:
            return None
        return ClaimedStream(claim[0], self._kept.messages[claim[1]].message.stream_id or "")

    async def secret(self, name: str) -> bytes:
        await self._turn()
        return self._kept.secrets.setdefault(name, secrets.token_bytes(32))

    async def device(self, name: str) -> StoredDevice | None:
        await self._turn()
        return self._kept.devices.get(name)

    async def add_device(self, name: str, user_id: str) -> StoredDevice:
        """Register a device, as SqlStore does."""
        await self._turn()
        return self._kept.devices.setdefault(name, StoredDevice(name, user_id, self._clock()))


def _activity(session: StoredSession) -> tuple[datetime, int]:
    return session.updated_at, session.id


def _length(message: StoredMessage) -> int:
    calls = sum(len(call.arguments) for call in message.tool_calls)
    return len(message.content) + len(message.reasoning or "") + calls + sum(map(size_of, message.parts))
