"""Endpoints for templates."""

from gateway.dialects.registry import LAM
from gateway.web.api import templates
from gateway.web.description.parameters import FORMAT
from gateway.web.description.problems import NOBODY
from gateway.web.description.streams import stream_of
from gateway.web.http.bodies import MessageBody, TemplateBody
from gateway.web.http.endpoint import AsgiEndpoint, Endpoint, JsonEndpoint, body_with_parts
from gateway.web.http.error_shapes import LAM_FRAME

_ALL = "/api/chatbot/templates"
_ONE = "/api/chatbot/templates/{template_id}"

TEMPLATES: tuple[Endpoint, ...] = (
    JsonEndpoint(
        method="GET",
        path=_ALL,
        handler=templates.list_templates,
        name="list_templates",
        summary="The caller's templates",
        description="The oldest first. A page of large templates may have fewer than `limit`: continue with "
        "`after` until a page is empty.",
        tag="templates",
    ),
    JsonEndpoint(
        method="POST",
        path=_ALL,
        handler=templates.create_template,
        name="create_template",
        summary="Create a template",
        description="A system prompt and model settings under a name. The model server's defaults apply to "
        "absent settings.",
        tag="templates",
        body=TemplateBody,
        status=201,
    ),
    JsonEndpoint(
        method="GET",
        path=_ONE,
        handler=templates.get_template,
        name="get_template",
        summary="One template",
        description="Settings that it does not set are null.",
        tag="templates",
    ),
    JsonEndpoint(
        method="PUT",
        path=_ONE,
        handler=templates.replace_template,
        name="replace_template",
        summary="Replace a template",
        description="Replaces all fields: absent settings are reset.",
        tag="templates",
        body=TemplateBody,
    ),
    JsonEndpoint(
        method="DELETE",
        path=_ONE,
        handler=templates.delete_template,
        name="delete_template",
        summary="Delete a template",
        description="Sessions that were started with it do not change.",
        tag="templates",
        status=204,
    ),
    AsgiEndpoint(
        method="POST",
        path=f"{_ONE}/test",
        handler=templates.TemplateTest,
        name="test_template",
        summary="Test a template without storing anything",
        description="Streams a reply, as for a message.",
        tag="templates",
        errors=LAM_FRAME,
        body=MessageBody,
        max_body_bytes=body_with_parts,
        parameters=(FORMAT,),
        answers={"200": stream_of(LAM)},
        refuses=(404, 422, *NOBODY),
    ),
)
