"""The request to continue a stored reply whose end the model has not reached."""

from gateway.contract.record import replace
from gateway.dialects.registry import LAM
from gateway.web.chat.forms import Asked, Post
from gateway.web.chat.regenerate_form import message_id
from gateway.web.chat.unified_form import question_of, template_of
from gateway.web.http.bodies import ReplyBody, parse
from gateway.web.services import Services


class ContinueBody(ReplyBody):
    """Settings of the rest: those of the first part are not stored."""


async def continue_form(gateway: Services, post: Post) -> Asked:
    """Parse a ContinueBody for the reply in the path.

    Raises BadRequest or Unprocessable if it is invalid, NotFound if the user has no such message or template.
    """
    body = parse(post.body or b"{}", ContinueBody)
    reply = await gateway.store.message(post.user_id, message_id(post))
    template = await template_of(gateway, post.user_id, body.template_id)
    question = question_of(body, reply.content, post.user_id, template)
    model = question.model
    if model is None and reply.model in gateway.modes.models():
        model = reply.model
    question = replace(
        question,
        model=model,
        session_id=reply.session_id,
        follows=reply.parent_id or 0,
        continues=reply,
    )
    return Asked(question, LAM)
