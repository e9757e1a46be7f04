"""OpenAI's and Anthropic's models endpoints: the models that are available in the current mode."""

import time
from datetime import UTC, datetime
from typing import Any

from gateway.web.chat.openai_errors import ModelNotFound
from gateway.web.http.asgi import Receive, Scope, Send, header
from gateway.web.http.endpoint import path_id
from gateway.web.http.problems import send_json
from gateway.web.services import Services

_CREATED = int(time.time())


class ModelList:
    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = self._gateway.modes.models()
        models = [_model_json(scope, name) for name in names]
        if not _is_anthropics(scope):
            await send_json(send, 200, {"object": "list", "data": models})
            return
        first, last = (names[0], names[-1]) if names else (None, None)
        page = {"data": models, "has_more": False, "first_id": first, "last_id": last}
        await send_json(send, 200, page)


class OneModel:
    """Answers with the model named in the path. The name may contain slashes."""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = path_id(scope)
        if name not in self._gateway.modes.models():
            raise ModelNotFound(f"The model {name!r} does not exist.")
        await send_json(send, 200, _model_json(scope, name))


def _is_anthropics(scope: Scope) -> bool:
    """Return whether the client is one of Anthropic's API, all of which send the version."""
    return header(scope, b"anthropic-version") is not None


def _model_json(scope: Scope, name: str) -> dict[str, Any]:
    if _is_anthropics(scope):
        created = datetime.fromtimestamp(_CREATED, UTC).isoformat().replace("+00:00", "Z")
        about = {"display_name": name, "created_at": created, "lifecycle": "active"}
        return {"type": "model", "id": name, **about}
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "sluice"}
