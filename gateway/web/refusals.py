"""Errors before a stream, in the shape each frontend looks for; told by path, so that the door knows too."""

from collections.abc import Awaitable, Callable

from gateway.contract.errors import GatewayError
from gateway.web.asgi import Scope, Send
from gateway.web.openai_errors import send_openai_error
from gateway.web.problems import send_problem

Refusal = Callable[[Send, GatewayError], Awaitable[None]]


async def refuse(scope: Scope, send: Send, error: GatewayError) -> None:
    """Answer a request that has no answer yet with this error."""
    path: str = scope["path"]
    for prefix, refusal in _REFUSALS.items():
        if path.startswith(prefix):
            await refusal(send, error)
            return
    await send_problem(send, error)


async def _frontend(send: Send, error: GatewayError) -> None:
    """A problem, and beside its `detail` an `error`: older frontends read one or the other."""
    await send_problem(send, error, error=str(error))


_REFUSALS: dict[str, Refusal] = {
    "/api/chat/": _frontend,
    "/api/v1/chat/": _frontend,
    "/api/v1/inference/": send_openai_error,
    "/v1/": send_openai_error,
}
