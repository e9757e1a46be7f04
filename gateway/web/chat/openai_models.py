"""OpenAI's models endpoints: the models that are available in the current mode."""

import time
from typing import Any

from gateway.web.chat.openai_errors import ModelNotFound
from gateway.web.http.asgi import Receive, Scope, Send
from gateway.web.http.endpoint import path_id
from gateway.web.http.problems import send_json
from gateway.web.services import Services

_CREATED = int(time.time())


class ModelList:
    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        models = [_model_json(model) for model in self._gateway.modes.models()]
        await send_json(send, 200, {"object": "list", "data": models})


class OneModel:
    """Answers with the model named in the path. The name may contain slashes."""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = path_id(scope)
        if name not in self._gateway.modes.models():
            raise ModelNotFound(f"The model {name!r} does not exist.")
        await send_json(send, 200, _model_json(name))


def _model_json(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "sluice"}
