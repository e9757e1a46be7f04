"""The unified endpoint's request, `MessageBody`: answered in lam unless `?format=` says otherwise."""

from dataclasses import replace
from functools import partial

from gateway.contract.content import Content
from gateway.contract.templates import Template
from gateway.core.conversations import Question
from gateway.dialects.registry import LAM
from gateway.web.chat.forms import Asked, Post
from gateway.web.chat.session_names import session_id_of
from gateway.web.http.bodies import MessageBody, parse
from gateway.web.http.content_field import asked_content
from gateway.web.http.large_bodies import unhurried
from gateway.web.services import Services


async def unified_form(gateway: Services, post: Post) -> Asked:
    """Unprocessable if the body does not fit or its content does; NotFound for a template that is
    unknown or somebody else's."""
    body, content = await unhurried(len(post.body), partial(read_message, gateway, post.body))
    template = None
    if body.template_id is not None:
        template = (await gateway.templates.one(post.user_id, body.template_id)).template
    question = question_of(body, content, post.user_id, template)
    if body.session_id is not None:
        session_id = await session_id_of(gateway.store, post.user_id, body.session_id)
        question = replace(question, session_id=session_id)
    return Asked(question, LAM, mirror=body.mirror)


def read_message(gateway: Services, raw: bytes) -> tuple[MessageBody, Content]:
    """The body and its content."""
    body = parse(raw, MessageBody)
    return body, asked_content(body.content, gateway.max_content_chars, gateway.max_attachment_bytes)


def question_of(body: MessageBody, content: Content, user_id: str, template: Template | None) -> Question:
    """What the body asks, with what it leaves open as its template has it; in no session yet."""
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
    )
