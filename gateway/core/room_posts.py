"""Messages of rooms: each is a question to the model or a note, and is stored before anybody hears it."""

import hashlib
from collections.abc import Callable, Collection
from typing import Literal

from msgspec import Struct

from gateway.contract.authors import Author
from gateway.contract.content import Content, chars_of, parts_of, text_of
from gateway.contract.errors import Conflict, Forbidden, Unprocessable
from gateway.contract.exchanges import IdempotencyClaim
from gateway.contract.notes import NewNote, posted
from gateway.contract.record import replace
from gateway.contract.room_events import MessagePosted, Origin, RoomListener
from gateway.contract.store import MessageStore
from gateway.core.addressing import ANY_MODEL, addressed_model
from gateway.core.conversations import Conversations
from gateway.core.members import MemberAccess
from gateway.core.question import DEVICE, Question
from gateway.core.rate_limits import Allowance
from gateway.core.session_news import SessionNews
from gateway.core.titles import title_of

MAX_CLIENT_ID_CHARS = 128


class NewMessage(Struct, frozen=True):
    """A message for a room.

    Attributes:
        user_id: the user of the request, whose rights count.
        who: the author; a label in open mode, or a device of the user.
        ask: True asks the model; None does if the room has only one user, or if the text addresses the model.
        origin: `broadcast` asks nothing, and is stored only if the room does not have its id: see NewNote.
        client_id: chosen by the client; a repeated message is stored once.
        role: `assistant`, only of a broadcast, for a model's text that the client got elsewhere.
        model: to ask; None for one that is addressed by its name, or any.
        allowance: limits of the caller; None for those of the user.
        except_for: a listener that must not hear it.
    """

    user_id: str
    who: Author
    session_id: int
    content: Content
    ask: bool | None = None
    origin: Origin = "room"
    client_id: str | None = None
    role: Literal["user", "assistant"] = "user"
    model: str | None = None
    allowance: Allowance | None = None
    except_for: RoomListener | None = None


class Posted(Struct, frozen=True):
    """A stored message.

    Attributes:
        stream_id: of the reply that it asked for; else None.
        is_new: False if it was stored before.
    """

    message: MessagePosted
    stream_id: str | None
    is_new: bool


class RoomPosts:
    """models: returns the names of the models that can be asked."""

    def __init__(
        self,
        store: MessageStore,
        conversations: Conversations,
        access: MemberAccess,
        news: SessionNews,
        max_content_chars: int,
        models: Callable[[], Collection[str]] = lambda: (),
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._access = access
        self._news = news
        self._max_content_chars = max_content_chars
        self._models = models

    async def post(self, new: NewMessage) -> Posted:
        """Store the message, and start the reply if it asks for one.

        Raises NotFound without access, Forbidden for a user who only watches, Unprocessable for content that
        is empty or too long, Conflict if the author has used the client id for another text; and everything
        that Conversations.ask raises. Nothing is stored then.
        """
        await self._check_access(new)
        self._check(new)
        if new.origin == "broadcast":
            return await self._note(new)
        model = addressed_model(text_of(new.content), self._models())
        asks = new.ask
        if asks is None:
            asks = model is not None or self._access.count_users(new.session_id) <= 1
        if not asks:
            return await self._note(new)
        return await self._ask(new, new.model or (None if model == ANY_MODEL else model))

    async def _note(self, new: NewMessage) -> Posted:
        note = NewNote(
            new.user_id,
            new.session_id,
            new.who,
            new.content,
            title=title_of(new.content),
            origin=new.origin,
            role=new.role,
            client_id=new.client_id,
        )
        message, is_new = await self._store.post(note)
        news = posted(message)
        if is_new:
            self._news.publish(new.session_id, replace(news, except_for=new.except_for))
            return Posted(news, None, is_new)
        return Posted(news, message.stream_id, is_new)

    async def _ask(self, new: NewMessage, model: str | None) -> Posted:
        claim = None if new.client_id is None else _claim(new, new.client_id)
        try:
            known = None if claim is None else await self._conversations.asked_before(new.user_id, claim)
        except Conflict:
            raise Conflict("This id was used before, with another text.") from None
        stream_id = known or await self._conversations.ask(
            Question(
                user_id=new.user_id,
                content=new.content,
                session_id=new.session_id,
                author=new.who,
                client_id=new.client_id,
                model=model,
                idempotency=claim,
                allowance=new.allowance,
                resumable=True,
                unattended=True,
                dialect=DEVICE if new.who.kind == "device" else "room",
            )
        )
        exchange = await self._store.exchange(new.user_id, stream_id)
        message = await self._store.message(new.user_id, exchange.user_message_id)
        return Posted(posted(message), stream_id, is_new=known is None)

    async def _check_access(self, new: NewMessage) -> None:
        if self._access.is_watcher(new.user_id, new.session_id):
            raise Forbidden("You only watch this room, so you cannot write into it.")
        if not self._access.is_member(new.user_id, new.session_id):
            await self._store.session(new.user_id, new.session_id)

    def _check(self, new: NewMessage) -> None:
        if not parts_of(new.content) and not text_of(new.content).strip():
            raise Unprocessable("content must not be empty.", {"content": "empty"})
        if (chars := chars_of(new.content)) > self._max_content_chars:
            raise Unprocessable(
                f"content must have at most {self._max_content_chars} characters, not {chars}.",
                {"content": "too long"},
            )
        if new.client_id is not None and not 1 <= len(new.client_id) <= MAX_CLIENT_ID_CHARS:
            raise Unprocessable(
                f"The id must have 1 to {MAX_CLIENT_ID_CHARS} characters.", {"id": "too long or empty"}
            )
        if new.role == "assistant" and new.origin != "broadcast":
            raise Unprocessable("Only a broadcast may have the role assistant.", {"role": "not allowed"})


def _claim(new: NewMessage, client_id: str) -> IdempotencyClaim:
    """Return the claim of a question. A device's is that of its chats in other sessions: see DeviceChats."""
    scope = str(new.who) if new.who.kind == "device" else f"room:{new.session_id}:{new.who}"
    digest = hashlib.sha256(text_of(new.content).encode(errors="surrogatepass")).hexdigest()
    return IdempotencyClaim(f"{scope}:{client_id}", digest)
