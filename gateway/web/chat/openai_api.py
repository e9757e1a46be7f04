"""Everything below `/v1`: the completions, the models, and 404 in OpenAI's own words for the rest."""

import time
from typing import Any

from gateway.contract.errors import MethodNotAllowed, NotFound
from gateway.web.chat.openai_completions import ChatCompletions
from gateway.web.chat.openai_errors import ModelNotFound, send_openai_error
from gateway.web.http.asgi import Receive, Scope, Send
from gateway.web.http.problems import send_json
from gateway.web.services import Services

PREFIX = "/v1/"
_MODELS = "/v1/models"
_COMPLETIONS = "/v1/chat/completions"


class OpenAIApi:
    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway
        self._completions = ChatCompletions(gateway)
        self._created = int(time.time())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        is_model = path == _MODELS or path.startswith(f"{_MODELS}/")
        if not is_model and path != _COMPLETIONS:
            await send_openai_error(send, NotFound(f"There is no {path} here."))
        elif method != (answered := "GET" if is_model else "POST"):
            await send_openai_error(send, MethodNotAllowed(f"Only {answered} is answered here.", [answered]))
        elif is_model:
            await self._tell_models(send, path.removeprefix(_MODELS).removeprefix("/"))
        else:
            await self._completions(scope, receive, send)

    async def _tell_models(self, send: Send, name: str) -> None:
        """All models, or the one of that name, which may contain slashes."""
        models = [self._model_json(model) for model in self._gateway.modes.models()]
        if not name:
            await send_json(send, 200, {"object": "list", "data": models})
            return
        for model in models:
            if model["id"] == name:
                await send_json(send, 200, model)
                return
        await send_openai_error(send, ModelNotFound(f"The model {name!r} does not exist."))

    def _model_json(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._created, "owned_by": "sluice"}
