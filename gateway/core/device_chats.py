"""Replies to the chats of devices."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from gateway.contract.authors import Author
from gateway.contract.errors import Conflict, Forbidden, NotFound, Unprocessable
from gateway.contract.events import Terminal
from gateway.contract.exchanges import IdempotencyClaim
from gateway.contract.ingress import DeviceChat, ReplyHandle
from gateway.contract.store import MessageStore
from gateway.core.conversations import Conversations
from gateway.core.device_owners import DeviceOwners
from gateway.core.question import Question
from gateway.core.replays import terminal_of
from gateway.core.run_handle import RunHandle, live_reply
from gateway.core.runs import Runs


async def unlimited(_: str) -> None:
    """Apply no rate limit."""


class DeviceChats:
    """Implements gateway.contract.ingress.Ask.

    Args:
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
        spend: Callable[[str], Awaitable[None]] = unlimited,
        anothers_s: float = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._conversations = conversations
        self._runs = runs
        self._store = store
        self._owners = owners
        self._max_content_chars = max_content_chars
        self._spend = spend
        self._anothers = timedelta(seconds=anothers_s)
        self._now = now

    async def __call__(self, chat: DeviceChat) -> ReplyHandle | Terminal | None:
        user_id = await self._owners.owner_of(chat.device, heard=True)
        if user_id is None:
            raise Forbidden(f"The device {chat.device} is not registered: sluice devices add {chat.device}.")
        fingerprint = hashlib.sha256(chat.text.encode(errors="surrogatepass")).hexdigest()
        claim = IdempotencyClaim(f"device:{chat.device}:{chat.id}", fingerprint)
        claimed = await self._store.claimed(user_id, claim.key)
        if claimed is None:
            return await self._begin(user_id, chat, claim)
        if claimed.fingerprint != fingerprint:
            raise Conflict("This id was used before, with another text.")
        return await self._known(user_id, claimed.stream_id)

    async def _begin(self, user_id: str, chat: DeviceChat, claim: IdempotencyClaim) -> ReplyHandle | None:
        self._check(chat.text)
        await self._spend(user_id)
        session_id = None
        if chat.session is not None:
            session_id = (await self._store.session_named(user_id, chat.session)).id
        stream_id = await self._conversations.ask(
            Question(
                user_id=user_id,
                content=chat.text,
                author=Author("device", chat.device),
                session_id=session_id,
                resumable=True,
                idempotency=claim,
                thread=f"device:{chat.device}",
                dialect="device",
            )
        )
        try:
            return RunHandle(self._runs, self._runs.find(stream_id, user_id))
        except NotFound:
            return None  # Another gateway on the same database was faster, and answers.

    async def _known(self, user_id: str, stream_id: str) -> ReplyHandle | Terminal | None:
        live = live_reply(self._runs, stream_id, user_id)
        if live is not None:
            return live
        message = await self._store.reply(user_id, stream_id)
        if message.status == "streaming" or self._now() - message.created_at < self._anothers:
            return None
        return terminal_of(message)

    def _check(self, text: str) -> None:
        if not text.strip():
            raise Unprocessable("text must not be empty.", {"text": "empty"})
        if len(text) > self._max_content_chars:
            raise Unprocessable(
                f"text must have at most {self._max_content_chars} characters, not {len(text)}.",
                {"text": "too long"},
            )
