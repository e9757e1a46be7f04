"""The request for another reply to a stored question, or to another text in its place."""

from functools import partial
from typing import Annotated

from pydantic import Field

from gateway.contract.branches import Spot
from gateway.contract.errors import Conflict, NotFound
from gateway.contract.record import replace
from gateway.contract.store import MessageStore, StoredMessage
from gateway.dialects.registry import LAM
from gateway.web.chat.forms import Asked, Post
from gateway.web.chat.unified_form import content_of, question_of, template_of
from gateway.web.http.bodies import MAX_ID, MirroredBody, parse
from gateway.web.http.content_field import SaidInParts
from gateway.web.http.endpoint import path_id
from gateway.web.http.large_bodies import unhurried
from gateway.web.services import Services


class RegenerateBody(MirroredBody):
    """Settings of the new reply: those of the old one are not stored."""

    content: Annotated[
        SaidInParts | None, Field(description="Another question, in place of the stored one.")
    ] = None


async def regenerate_form(gateway: Services, post: Post) -> Asked:
    """Parse a RegenerateBody for the message in the path.

    Raises BadRequest or Unprocessable if it is invalid, NotFound if the user has no such message or template
    or the question was deleted, Conflict for a note with the role assistant.
    """
    body = await unhurried(len(post.body), partial(parse, post.body or b"{}", RegenerateBody))
    content = None if body.content is None else await content_of(gateway, post, body.content)
    stored = await _question(gateway.store, post.user_id, message_id(post))
    template = await template_of(gateway, post.user_id, body.template_id)
    question = question_of(body, stored.parts or stored.content, post.user_id, template)
    spot = Spot(stored.id, stored.id)
    if content is None:
        question = replace(question, author=stored.author)
    else:
        question, spot = replace(question, content=content), Spot(stored.parent_id)
    question = replace(question, session_id=stored.session_id, branch=spot, follows=stored.parent_id or 0)
    return Asked(question, LAM, mirror=body.mirror)


def message_id(post: Post) -> int:
    """Return the id of the message in the path. Raises NotFound if it cannot be one."""
    name = path_id(post.scope)
    if not (name.isascii() and name.isdecimal() and len(name) <= len(str(MAX_ID))):
        raise NotFound("No such message.")
    return int(name)


async def _question(store: MessageStore, user_id: str, id: int) -> StoredMessage:
    """Return the message, or the question that it answers."""
    message = await store.message(user_id, id)
    if message.role == "user":
        return message
    if message.stream_id is None:
        raise Conflict("A client told the room about this message: the model cannot reply to it again.")
    exchange = await store.exchange(user_id, message.stream_id)
    if not exchange.user_message_id:
        raise NotFound("The question of this reply was deleted.")
    return await store.message(user_id, exchange.user_message_id)
