"""Templates, under /api/chatbot/templates: create, read, replace, delete, and test."""

from functools import partial
from typing import Annotated

from fastapi import Path, Query, Request, Response

from gateway.contract.record import replace
from gateway.contract.templates import Template
from gateway.dialects.registry import LAM
from gateway.web.api import views
from gateway.web.api.dependencies import Gateway, UserId
from gateway.web.chat.follow import follow
from gateway.web.chat.forms import Asked, Post, accept
from gateway.web.chat.unified_form import content_of, question_of
from gateway.web.http.asgi import Receive, Scope, Send
from gateway.web.http.bodies import MAX_ID, MessageBody, TemplateBody, parse
from gateway.web.http.content_field import check_chars
from gateway.web.http.endpoint import path_id, read_request
from gateway.web.http.large_bodies import unhurried
from gateway.web.services import Services

Id = Annotated[int, Path(ge=1, le=MAX_ID)]
After = Annotated[int, Query(ge=0, le=MAX_ID, description="Only ids greater than this.")]
Limit = Annotated[int, Query(ge=1, le=1000)]


async def create_template(request: Request, gateway: Gateway, user_id: UserId) -> views.TemplateView:
    template = await _template_in(request, gateway)
    return views.template_view(await gateway.templates.create(user_id, template))


async def list_templates(
    gateway: Gateway, user_id: UserId, after: After = 0, limit: Limit = 200
) -> list[views.TemplateView]:
    page = await gateway.templates.all(user_id, after=after, limit=limit)
    return [views.template_view(stored) for stored in page]


async def get_template(gateway: Gateway, user_id: UserId, template_id: Id) -> views.TemplateView:
    return views.template_view(await gateway.templates.one(user_id, template_id))


async def replace_template(
    request: Request, gateway: Gateway, user_id: UserId, template_id: Id
) -> views.TemplateView:
    template = await _template_in(request, gateway)
    return views.template_view(await gateway.templates.replace(user_id, template_id, template))


async def delete_template(gateway: Gateway, user_id: UserId, template_id: Id) -> Response:
    await gateway.templates.delete(user_id, template_id)
    return Response(status_code=204)


class TemplateTest:
    """Answers a message with a template, as a stream, and stores nothing."""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        asked = await accept(gateway, _test_form, scope, receive)
        question = replace(asked.question, resumable=False, idempotency=None)
        stream_id = await gateway.conversations.rehearse(question)
        await follow(gateway, scope, send, asked.dialect, stream_id, question.user_id, with_ids=False)


async def _test_form(gateway: Services, post: Post) -> Asked:
    id = path_id(post.scope)
    is_number = id.isascii() and id.isdecimal() and len(id) < 20
    stored = await gateway.templates.one(post.user_id, int(id) if is_number else 0)  # no template has id 0
    body = await unhurried(len(post.body), partial(parse, post.body, MessageBody))
    content = await content_of(gateway, post, body.content)
    question = question_of(body, content, post.user_id, stored.template)
    return Asked(replace(question, resumable=False), LAM)


async def _template_in(request: Request, gateway: Services) -> Template:
    body = parse(await read_request(gateway, request.scope, request.receive), TemplateBody)
    check_chars(body.system_prompt or "", gateway.max_content_chars, "system_prompt")
    return Template(body.name, body.system_prompt, body.model, body.sampling())
