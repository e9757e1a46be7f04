"""Endpoints for other replies to a question, and for the branch that a session shows."""

from gateway.dialects.registry import LAM
from gateway.web.api.branches import choose_branch
from gateway.web.chat.continue_form import ContinueBody, continue_form
from gateway.web.chat.messages import MessageStream
from gateway.web.chat.regenerate_form import RegenerateBody, regenerate_form
from gateway.web.description.parameters import ASKING
from gateway.web.description.problems import NOBODY
from gateway.web.description.streams import NOTHING_MORE, stream_of
from gateway.web.http.endpoint import AsgiEndpoint, Endpoint, JsonEndpoint, body_with_parts
from gateway.web.http.error_shapes import LAM_FRAME

_ONE = "/api/chatbot/messages/{message_id}"

BRANCHES: tuple[Endpoint, ...] = (
    AsgiEndpoint(
        method="POST",
        path=f"{_ONE}/regenerate",
        handler=lambda gateway: MessageStream(gateway, regenerate_form),
        name="regenerate",
        summary="Stream another reply to a question",
        description="`message_id` is a question or one of its replies. The new reply stands beside the old "
        "ones. With `content` a new question stands beside the stored one, with a reply of its own. The "
        "session shows the new reply; all messages stay stored. The stream is that of `/messages/stream`.",
        tag="messages",
        errors=LAM_FRAME,
        body=RegenerateBody,
        body_required=False,
        max_body_bytes=body_with_parts,
        parameters=ASKING,
        answers={"200": stream_of(LAM), **NOTHING_MORE},
        refuses=(404, 409, 422, *NOBODY),
    ),
    AsgiEndpoint(
        method="POST",
        path=f"{_ONE}/continue",
        handler=lambda gateway: MessageStream(gateway, continue_form, continues=True),
        name="continue_reply",
        summary="Continue a reply and stream the rest",
        description="The model continues the text of a reply that ended with `length`, was stopped, or "
        "failed; 409 for one that the model has ended itself, that is being generated, or that another "
        "message follows. The stream is that of `/messages/stream`, with only the new text; its "
        "`full_content` and the stored message have the whole.",
        tag="messages",
        errors=LAM_FRAME,
        body=ContinueBody,
        body_required=False,
        parameters=ASKING,
        answers={"200": stream_of(LAM), **NOTHING_MORE},
        refuses=(404, 409, 422, *NOBODY),
    ),
    JsonEndpoint(
        method="POST",
        path=f"{_ONE}/choose",
        handler=choose_branch,
        name="choose_branch",
        summary="Show the branch of a message",
        description="The session shows the branch of this message, up to the latest message below it, until "
        "another message is sent. The next message follows there.",
        tag="messages",
    ),
)
