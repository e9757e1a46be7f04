"""Every endpoint of the gateway, in the order of the OpenAPI document."""

from gateway.contract.errors import NotFound
from gateway.web.endpoints.administration import ADMINISTRATION
from gateway.web.endpoints.attachments import ATTACHMENTS
from gateway.web.endpoints.branches import BRANCHES
from gateway.web.endpoints.frontends import FRONTENDS
from gateway.web.endpoints.messages import MESSAGES
from gateway.web.endpoints.model_apis import MODEL_APIS
from gateway.web.endpoints.openai import OPENAI_API
from gateway.web.endpoints.operation import OPERATION
from gateway.web.endpoints.responses import RESPONSES
from gateway.web.endpoints.rooms import ROOMS
from gateway.web.endpoints.sessions import SESSIONS
from gateway.web.endpoints.sockets import SOCKET_IO, SOCKETS
from gateway.web.endpoints.templates import TEMPLATES
from gateway.web.http.asgi import App, Receive, Scope, Send
from gateway.web.http.endpoint import ADMIN, CHAT, AsgiEndpoint, Endpoint, Scopes
from gateway.web.http.error_shapes import ANTHROPIC, OLLAMA, OPENAI, PROBLEM, ErrorShape
from gateway.web.services import Services

ENDPOINTS: tuple[Endpoint, ...] = (
    *MESSAGES,
    *BRANCHES,
    *FRONTENDS,
    *OPENAI_API,
    *RESPONSES,
    *MODEL_APIS,
    *SOCKETS,
    *SESSIONS,
    *ROOMS,
    *TEMPLATES,
    *ATTACHMENTS,
    *OPERATION,
    *ADMINISTRATION,
)


def _not_found(_: Services) -> App:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        raise NotFound(f"There is no endpoint at {scope['path'][:200]}.")

    return refuse


def _nothing(path: str, *, scopes: Scopes = CHAT, errors: ErrorShape = PROBLEM) -> AsgiEndpoint:
    return AsgiEndpoint(
        method="*",
        path=path,
        handler=_not_found,
        name="nothing",
        summary="404",
        tag="nothing",
        scopes=scopes,
        errors=errors,
        text_body=True,  # 404 for every body, also one that is no JSON: nothing reads it
    )


ELSEWHERE: tuple[AsgiEndpoint, ...] = (
    *SOCKET_IO,
    _nothing("/v1/messages/{rest:path}", errors=ANTHROPIC),
    _nothing("/v1/{rest:path}", errors=OPENAI),
    _nothing("/api/admin/{rest:path}", scopes=ADMIN),
    _nothing("/api/chatbot/{rest:path}"),
    _nothing("/api/{rest:path}", errors=OLLAMA),
    _nothing("{rest:path}"),
)
"""Endpoints that the OpenAPI document does not describe: socket.io, and those that answer 404 at all other
paths, with the scopes that are required there."""
