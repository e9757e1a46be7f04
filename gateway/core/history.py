"""Reads the turns of a question for the model: the session's earlier messages, and the question itself."""

from collections.abc import Callable, Sequence
from itertools import dropwhile
from typing import NamedTuple

from gateway.contract.authors import Author
from gateway.contract.requests import Turn
from gateway.contract.store import MessageStore, StoredMessage
from gateway.core.earlier_turns import earlier_turns
from gateway.core.limits import Limits
from gateway.core.question import Question
from gateway.core.shared_turns import alternating, named


class Conversation(NamedTuple):
    """The turns for the model. is_stored: they are of the session's messages, and may have neighbours of one
    role, which must be merged: notes, and questions whose reply failed or was stopped without text."""

    turns: Sequence[Turn]
    is_stored: bool


class History:
    def __init__(self, store: MessageStore, limits: Limits) -> None:
        self._store = store
        self._limits = limits

    async def conversation(self, question: Question) -> Conversation:
        """Return the whole conversation for the model. Raises NotFound without access to the session.

        If several users and devices have written in it, their texts begin with their names.
        """
        if question.turns is not None:
            return Conversation(question.turns, is_stored=False)
        earlier: Sequence[StoredMessage] = ()
        session_id = question.session_id
        if session_id is None and question.thread is not None:
            latest = await self._store.latest_session(question.user_id, question.thread)
            session_id = None if latest is None else latest.id
        if session_id is not None and question.follows != 0:
            earlier = await self._earlier(question.user_id, session_id, question.follows)
        authors = {message.author for message in earlier if message.role == "user"}
        author = question.author or Author("user", question.user_id)
        if question.continues is None:
            authors.add(author)
        with_names = len(authors) > 1
        turns = [Turn("system", question.system_prompt)] if question.system_prompt else []
        turns += earlier_turns(earlier, with_names=with_names)
        if (reply := question.continues) is not None:
            turns.append(Turn("assistant", reply.content, reasoning_content=reply.reasoning))
        else:
            turns.append(Turn("user", named(author, question.content) if with_names else question.content))
        return Conversation(turns, is_stored=True)

    async def earlier(
        self,
        user_id: str,
        session_id: int,
        chosen: Callable[[Sequence[StoredMessage]], Sequence[StoredMessage]] = lambda messages: messages,
    ) -> list[Turn]:
        """Return the session's earlier messages for the model, without the oldest ones beyond the limits, and
        with neighbours of one role merged.

        Raises NotFound if the session is unknown or another user's.

        chosen: returns those of the messages that are wanted.
        """
        return alternating(earlier_turns(chosen(await self._earlier(user_id, session_id, None))))

    async def _earlier(self, user_id: str, session_id: int, last_id: int | None) -> Sequence[StoredMessage]:
        """Return the latest messages up to `last_id`; None: the last one of the branch that the session
        shows. They do not begin with a reply whose question is beyond the limits: templates of some models
        refuse that."""
        limits = self._limits
        _, earlier = await self._store.history(
            user_id,
            session_id,
            max_chars=limits.history_max_chars,
            max_bytes=limits.history_max_bytes,
            last_id=last_id,
        )
        return [*dropwhile(lambda message: message.role == "assistant" and message.origin is None, earlier)]
