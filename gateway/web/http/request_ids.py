"""The id of a request in responses of model APIs, which their clients show beside errors."""

import re
from collections.abc import Awaitable, Callable
from uuid import uuid4

from gateway.web.http.asgi import App, Message, Receive, Scope, Send, header
from gateway.web.http.endpoint import endpoint_of
from gateway.web.http.error_shapes import ANTHROPIC, OPENAI

REQUEST_ID = b"x-request-id"
"""The request's header. The access log shows it, and the relay passes it on."""

_ANSWERED = {OPENAI: REQUEST_ID, ANTHROPIC: b"request-id"}
"""The response's header, by the shape of the endpoint's errors."""

_VALID = re.compile(r"[!-~]{1,100}")


class RequestIds:
    """Adds the request's X-Request-Id, or a new one, to responses of OpenAI's and Anthropic's endpoints.

    new_id: makes an id.
    """

    def __init__(self, app: App, new_id: Callable[[], str] = lambda: f"req_{uuid4().hex}") -> None:
        self._app = app
        self._new_id = new_id

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        name = _ANSWERED.get(endpoint_of(scope).errors)
        if name is None or scope["type"] != "http":
            return self._app(scope, receive, send)
        given = header(scope, REQUEST_ID)
        if given is not None and _VALID.fullmatch(given):
            id = given.encode()
        else:
            id = self._new_id().encode()
            others = [pair for pair in scope["headers"] if pair[0] != REQUEST_ID]
            scope["headers"] = [*others, (REQUEST_ID, id)]

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (name, id)]
            await send(message)

        return self._app(scope, receive, send_with_id)
