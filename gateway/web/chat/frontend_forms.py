"""Requests of the lunar, printer and words frontends. Their other fields are ignored."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gateway.contract.errors import NotFound
from gateway.contract.misfits import misfit
from gateway.core.question import Question
from gateway.dialects.registry import LUNAR, PRINTER, WORDS
from gateway.web.chat.conversation_cookie import conversation_of
from gateway.web.chat.forms import Asked, Post
from gateway.web.chat.session_names import session_of
from gateway.web.http.bodies import Said, parse
from gateway.web.http.content_field import check_chars
from gateway.web.services import Services

MAX_USER_ID_CHARS = 256


class ChatBody(BaseModel):
    """lunar sends `message`, printer sends `user_message`; exactly one is required.

    conversation_id: uuid of a session, from printer. Ignored for lunar.
    """

    model_config = ConfigDict(extra="ignore", strict=True)

    message: Said | None = None
    user_message: Said | None = None
    conversation_id: object = None


class WordsBody(BaseModel):
    """user_id: continues the caller's conversation with this value; without it a new one starts."""

    model_config = ConfigDict(extra="ignore", strict=True)

    message: Said
    user_id: Annotated[str, Field(max_length=MAX_USER_ID_CHARS)] | int | None = None


async def chat_form(gateway: Services, post: Post) -> Asked:
    """Parse `POST /api/chat/stream`. Raises NotFound if printer's conversation is not one of the user's."""
    body = parse(post.body, ChatBody)
    match body.message, body.user_message:
        case str(message), None:
            return _lunar(gateway, post, message)
        case None, str(message):
            return await _printer(gateway, post, message, body.conversation_id)
        case None, None:
            problem = "is required, or user_message"
        case _:
            problem = "must not be sent together with user_message"
    raise misfit("message", problem)


async def words_form(gateway: Services, post: Post) -> Asked:
    """Parse `POST /api/v1/chat/unified/stream`."""
    body = parse(post.body, WordsBody)
    check_chars(body.message, gateway.max_content_chars, "message")
    thread = None if body.user_id in (None, "") else f"words:{body.user_id}"
    return Asked(Question(post.user_id, body.message, thread=thread), WORDS)


def _lunar(gateway: Services, post: Post, message: str) -> Asked:
    check_chars(message, gateway.max_content_chars, "message")
    conversation = conversation_of(post.scope)
    question = Question(post.user_id, message, thread=conversation.thread)
    return Asked(question, LUNAR, headers=[conversation.set_cookie])


async def _printer(gateway: Services, post: Post, message: str, conversation_id: object) -> Asked:
    check_chars(message, gateway.max_content_chars, "user_message")
    session_id = None
    if conversation_id not in (None, ""):
        try:
            session_id = (await session_of(gateway.store, post.user_id, str(conversation_id))).id
        except NotFound:
            raise NotFound("No such conversation.") from None
    return Asked(Question(post.user_id, message, session_id=session_id), PRINTER)
