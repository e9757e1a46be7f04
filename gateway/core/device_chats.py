"""Replies to the chats of devices."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from gateway.contract.authors import Author
from gateway.contract.errors import Conflict, Forbidden, NotFound, Unprocessable
from gateway.contract.events import Terminal
from gateway.contract.exchanges import IdempotencyClaim
from gateway.contract.ingress import DeviceChat, Noted, ReplyHandle
from gateway.contract.rooms import Role
from gateway.contract.store import MessageStore, StoredSession
from gateway.core.conversations import Conversations
from gateway.core.device_owners import DeviceOwners
from gateway.core.question import DEVICE, Question
from gateway.core.replays import terminal_of
from gateway.core.room_posts import NewMessage, RoomPosts
from gateway.core.run_handle import RunHandle, live_reply
from gateway.core.runs import Runs

Answer = ReplyHandle | Terminal | Noted | None
KEY = re.compile("device:(?P<device>[^:]+):(?P<id>.+)", re.DOTALL)
"""The Idempotency-Key of a device's chat."""


async def ignore(stream_id: str, user_id: str) -> None:
    """Stop nothing."""


async def unlimited(_: str) -> None:
    """Apply no rate limit."""


class DeviceChats:
    """Implements gateway.contract.ingress.Ask.

    Args:
        posts: stores messages of rooms; needed by devices that have roles.
        roles: returns a device's roles by the session ids of its rooms.
        stop: stops a reply, from stream id and user id.
        spend: counts one request of a user; raises LimitExceeded at the limit.
        anothers_s: a reply that is not running here and began less than this many seconds ago belongs to
            another gateway, which received the chat too; 0 if no other gateway uses the database.
        now: returns the time, aware.
    """

    def __init__(
        self,
        conversations: Conversations,
        runs: Runs,
        store: MessageStore,
        owners: DeviceOwners,
        *,
        max_content_chars: int,
        posts: RoomPosts | None = None,
        roles: Callable[[str], Mapping[int, Role]] = lambda _: {},
        stop: Callable[[str, str], Awaitable[object]] = ignore,
        spend: Callable[[str], Awaitable[None]] = unlimited,
        anothers_s: float = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._conversations = conversations
        self._runs = runs
        self._store = store
        self._owners = owners
        self._max_content_chars = max_content_chars
        self._posts = posts
        self._roles = roles
        self._stop = stop
        self._spend = spend
        self._anothers = timedelta(seconds=anothers_s)
        self._now = now

    async def __call__(self, chat: DeviceChat) -> Answer:
        user_id = await self._owners.owner_of(chat.device, heard=True)
        if user_id is None:
            raise Forbidden(f"The device {chat.device} is not registered: sluice devices add {chat.device}.")
        fingerprint = hashlib.sha256(chat.text.encode(errors="surrogatepass")).hexdigest()
        claim = IdempotencyClaim(_key(chat.device, chat.id), fingerprint)
        claimed = await self._store.claimed(user_id, claim.key)
        if claimed is None:
            return await self._begin(user_id, chat, claim)
        if claimed.fingerprint != fingerprint:
            raise Conflict("This id was used before, with another text.")
        return await self._known(user_id, claimed.stream_id)

    async def stop(self, device: str, id: str) -> None:
        """See StopChat."""
        user_id = await self._owners.owner_of(device, heard=True)
        claimed = None if user_id is None else await self._store.claimed(user_id, _key(device, id))
        if user_id is not None and claimed is not None:
            await self._stop(claimed.stream_id, user_id)

    async def _begin(self, user_id: str, chat: DeviceChat, claim: IdempotencyClaim) -> Answer:
        self._check(chat.text)
        await self._spend(user_id)
        thread = f"device:{chat.device}"
        session: StoredSession | None
        if chat.session is not None:
            session = await self._store.session_named(user_id, chat.session)
        else:
            session = await self._store.latest_session(user_id, thread)
        if session is not None and (role := self._roles(chat.device).get(session.id)) is not None:
            return await self._post(user_id, chat, session, role)
        if chat.ask is False:
            raise Unprocessable("Only a member of a room may send what asks nothing.", {"ask": "not allowed"})
        session_id = None if chat.session is None or session is None else session.id
        stream_id = await self._conversations.ask(
            Question(
                user_id=user_id,
                content=chat.text,
                author=Author("device", chat.device),
                session_id=session_id,
                resumable=True,
                idempotency=claim,
                thread=thread,
                dialect=DEVICE,
            )
        )
        try:
            return RunHandle(self._runs, self._runs.find(stream_id, user_id))
        except NotFound:
            return None  # Another gateway on the same database was faster, and answers.

    async def _post(self, user_id: str, chat: DeviceChat, session: StoredSession, role: Role) -> Answer:
        """Store the message of a room's member, and answer it as a chat if it asks the model."""
        if role == "watcher" or self._posts is None:
            raise Forbidden(f"The device {chat.device} only watches this room, so it cannot write into it.")
        message = NewMessage(
            user_id=user_id,
            who=Author("device", chat.device),
            session_id=session.id,
            content=chat.text,
            ask=chat.ask,
            client_id=chat.id,
        )
        posted = await self._posts.post(message)
        if posted.stream_id is None:
            return Noted(session.key)
        if posted.is_new:
            with suppress(NotFound):  # a reply that has ended may be in the store only
                return RunHandle(self._runs, self._runs.find(posted.stream_id, user_id))
        return await self._known(user_id, posted.stream_id, others=not posted.is_new)

    async def _known(
        self, user_id: str, stream_id: str, *, others: bool = True
    ) -> ReplyHandle | Terminal | None:
        """others: False if no other gateway can have started the reply."""
        live = live_reply(self._runs, stream_id, user_id, was_begun=others)
        if live is not None:
            return live
        message = await self._store.reply(user_id, stream_id)
        is_recent = abs(self._now() - message.created_at) < self._anothers  # its clock may be ahead
        may_be_anothers = others and is_recent and not self._ended_here(user_id, stream_id)
        if message.status == "streaming" or may_be_anothers:
            return None
        return terminal_of(message)

    def _ended_here(self, user_id: str, stream_id: str) -> bool:
        try:
            self._runs.find(stream_id, user_id)
        except NotFound:
            return False
        return True

    def _check(self, text: str) -> None:
        if not text.strip():
            raise Unprocessable("text must not be empty.", {"text": "empty"})
        if len(text) > self._max_content_chars:
            raise Unprocessable(
                f"text must have at most {self._max_content_chars} characters, not {len(text)}.",
                {"text": "too long"},
            )


def _key(device: str, id: str) -> str:
    return f"device:{device}:{id}"
