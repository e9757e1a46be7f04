"""Templates, under /api/chatbot: kept, changed, and tried out without keeping what comes of it."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from gateway.contract.errors import GatewayError
from gateway.contract.templates import Template
from gateway.dialects.registry import LAM
from gateway.web.api import views
from gateway.web.chat.forms import Asked, Post, accept
from gateway.web.chat.resume import follow
from gateway.web.chat.unified_form import question_of
from gateway.web.description.schemas import body_of
from gateway.web.door.callers import caller_of
from gateway.web.http.asgi import Receive, Scope, Send, read_body
from gateway.web.http.bodies import MAX_ID, MessageBody, TemplateBody, check_length, parse
from gateway.web.http.refusals import refuse
from gateway.web.services import Services

Id = Annotated[int, Path(ge=1, le=MAX_ID)]
After = Annotated[int, Query(ge=0, le=MAX_ID, description="Only ids greater than this.")]
Limit = Annotated[int, Query(ge=1, le=1000)]


def templates_router(gateway: Services) -> APIRouter:
    router = APIRouter(prefix="/api/chatbot", tags=["templates"])

    async def template_in(request: Request) -> Template:
        body = parse(
            await read_body(request.receive, gateway.max_body_bytes, gateway.body_timeout_s), TemplateBody
        )
        check_length(body.system_prompt or "", gateway.max_content_chars, "system_prompt")
        return Template(body.name, body.system_prompt, body.model, body.sampling())

    @router.post("/templates", status_code=201, openapi_extra=body_of(TemplateBody))
    async def create_template(request: Request) -> views.TemplateView:
        user_id = caller_of(request.scope).user_id
        return views.template_view(await gateway.templates.create(user_id, await template_in(request)))

    @router.get("/templates")
    async def list_templates(
        request: Request, after: After = 0, limit: Limit = 200
    ) -> list[views.TemplateView]:
        """The oldest first. Large ones come in fewer than `limit`: go on with `after` until none come."""
        user_id = caller_of(request.scope).user_id
        page = await gateway.templates.all(user_id, after=after, limit=limit)
        return [views.template_view(stored) for stored in page]

    @router.get("/templates/{template_id}")
    async def get_template(request: Request, template_id: Id) -> views.TemplateView:
        return views.template_view(await gateway.templates.one(caller_of(request.scope).user_id, template_id))

    @router.put("/templates/{template_id}", openapi_extra=body_of(TemplateBody))
    async def replace_template(request: Request, template_id: Id) -> views.TemplateView:
        """The whole of it: what is absent is left open from now on."""
        user_id = caller_of(request.scope).user_id
        template = await template_in(request)
        return views.template_view(await gateway.templates.replace(user_id, template_id, template))

    @router.delete("/templates/{template_id}", status_code=204)
    async def delete_template(request: Request, template_id: Id) -> Response:
        await gateway.templates.delete(caller_of(request.scope).user_id, template_id)
        return Response(status_code=204)

    return router


class TemplateTest:
    """`POST /api/chatbot/templates/{id}/test`: answered like a message, and nothing is kept of it."""

    def __init__(self, gateway: Services, template_id: str) -> None:
        self._gateway = gateway
        is_number = template_id.isascii() and template_id.isdecimal() and len(template_id) < 20
        self._template_id = int(template_id) if is_number else 0  # which nobody's template has

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        try:
            asked = await accept(gateway, self._form, scope, receive)
            question = replace(asked.question, resumable=False, idempotency=None)
            stream_id = await gateway.conversations.rehearse(question)
            await follow(gateway, scope, send, asked.dialect, stream_id, question.user_id, with_ids=False)
        except GatewayError as error:
            await refuse(scope, send, error)

    async def _form(self, gateway: Services, post: Post) -> Asked:
        stored = await gateway.templates.one(post.user_id, self._template_id)
        body = parse(post.body, MessageBody)
        check_length(body.content, gateway.max_content_chars, "content")
        question = question_of(body, post.user_id, stored.template)
        return Asked(replace(question, resumable=False), LAM)
