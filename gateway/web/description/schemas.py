"""Helpers to write schemas: references, optional fields, request bodies."""

from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def reference(model: type | str) -> dict[str, Any]:
    """Return a reference to the schema of this model. model: class or name."""
    name = model if isinstance(model, str) else model.__name__
    return {"$ref": f"#/components/schemas/{name}"}


def sometimes(description: str | None = None) -> Any:
    """Return a field that may be absent, but not null."""
    return FieldInfo(default=None, description=description, json_schema_extra=_without_default)


def body_of(
    models: type[BaseModel] | tuple[type[BaseModel], ...] | None, *, required: bool = True
) -> dict[str, Any]:
    """Return an operation's `requestBody`: this model, or one of these."""
    if models is None:
        return {}
    content = (
        {"application/json": {"schema": {"oneOf": [reference(model) for model in models]}}}
        if isinstance(models, tuple)
        else json_content(models)
    )
    return {"requestBody": {"required": required, "content": content}}


def json_content(model: type) -> dict[str, Any]:
    return {"application/json": {"schema": reference(model)}}


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)
