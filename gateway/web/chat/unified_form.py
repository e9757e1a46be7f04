"""The request of the unified endpoint, `MessageBody`. Its default dialect is lam."""

from functools import partial
from typing import Any

from gateway.contract.content import Content
from gateway.contract.record import replace
from gateway.contract.templates import Template
from gateway.core.question import Question
from gateway.dialects.registry import LAM
from gateway.web.chat.attached_parts import with_attachments
from gateway.web.chat.forms import Asked, Post
from gateway.web.chat.session_names import session_id_of
from gateway.web.http.bodies import MessageBody, ReplyBody, parse
from gateway.web.http.content_field import asked_content
from gateway.web.http.large_bodies import unhurried
from gateway.web.services import Services


async def unified_form(gateway: Services, post: Post) -> Asked:
    """Parse a MessageBody.

    Raises BadRequest or Unprocessable if it is invalid, NotFound if the user has no such session or template.
    """
    body = await unhurried(len(post.body), partial(parse, post.body, MessageBody))
    content = await content_of(gateway, post, body.content)
    template = await template_of(gateway, post.user_id, body.template_id)
    question = question_of(body, content, post.user_id, template)
    if body.session_id is not None:
        session_id = await session_id_of(gateway.store, post.user_id, body.session_id)
        question = replace(question, session_id=session_id)
    return Asked(question, LAM, mirror=body.mirror)


async def content_of(gateway: Services, post: Post, said: Any) -> Content:
    """Return the content of a message, with the attachments that it names. Raises Unprocessable, NotFound or
    TooLarge."""
    said = await with_attachments(gateway, post.user_id, said)
    limits = (gateway.max_content_chars, gateway.max_attachment_bytes)
    return await unhurried(len(post.body), partial(asked_content, said, *limits))


async def template_of(gateway: Services, user_id: str, template_id: int | None) -> Template | None:
    """Return the user's template; None without an id. Raises NotFound."""
    return None if template_id is None else (await gateway.templates.one(user_id, template_id)).template


def question_of(body: ReplyBody, content: Content, user_id: str, template: Template | None) -> Question:
    """Return the body as a Question without a session. The template gives the settings that it leaves out."""
    sampling, system_prompt, model = body.sampling(), body.system_prompt, body.model
    if template is not None:
        sampling = sampling.over(template.sampling)
        system_prompt = template.system_prompt if system_prompt is None else system_prompt
        model = template.model if model is None else model
    return Question(
        user_id=user_id,
        content=content,
        system_prompt=system_prompt,
        model=model,
        sampling=sampling,
        resumable=bool(body.resumable),
        continue_on_failure=body.continue_on_failure,
    )
