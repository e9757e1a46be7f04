"""Ollama's endpoints for models: those that are available in the current mode."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from gateway.contract.errors import NotFound
from gateway.web.http.asgi import Receive, Scope, Send
from gateway.web.http.bodies import parse
from gateway.web.http.endpoint import read_request
from gateway.web.http.problems import send_json
from gateway.web.services import Services

VERSION = "0.14.3"
"""Version of Ollama whose API is implemented. Clients parse it as digits and dots, and refuse older ones."""

_STARTED = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
_NEVER = "2318-01-01T00:00:00Z"

DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "unknown",
    "quantization_level": "unknown",
}


class ShowBody(BaseModel):
    """name: older clients send this instead of `model`."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model: str | None = None
    name: str | None = None


class ModelTags:
    """`GET /api/tags`"""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        models = [
            {**_named(name), "modified_at": _STARTED, "details": DETAILS}
            for name in self._gateway.modes.models()
        ]
        await send_json(send, 200, {"models": models})


class LoadedModels:
    """`GET /api/ps`"""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        models = [
            {**_named(name), "details": DETAILS, "expires_at": _NEVER, "size_vram": 0}
            for name in self._gateway.modes.models()
        ]
        await send_json(send, 200, {"models": models})


class ShowModel:
    """`POST /api/show`"""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = parse(await read_request(self._gateway, scope, receive), ShowBody)
        wanted = body.model or body.name or ""
        models = self._gateway.modes.models()
        name = next((model for model in models if wanted in (model, f"{model}:latest")), None)
        if name is None:
            raise NotFound(f"model '{wanted}' not found")
        sees = ["vision"] if "image" in self._gateway.modes.accepts() else []
        told = {
            "modelfile": "",
            "parameters": "",
            "template": "{{ .Prompt }}",
            "details": DETAILS,
            "model_info": {"general.architecture": "llama", "general.basename": name},
            "capabilities": ["completion", "tools", *sees],
            "modified_at": _STARTED,
        }
        await send_json(send, 200, told)


class Version:
    """`GET /api/version`"""

    def __init__(self, gateway: Services) -> None:
        pass

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, 200, {"version": VERSION})


def _named(name: str) -> dict[str, Any]:
    """Return the fields that describe a model. Its size is unknown."""
    return {
        "name": name,
        "model": name,
        "size": 0,
        "digest": hashlib.sha256(name.encode("utf-8", "replace")).hexdigest(),
    }
