"""How schemas are written: names for models, fields that may be absent, bodies of requests."""

from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def reference(model: type | str) -> dict[str, Any]:
    """To a schema of the description, by the name of its model."""
    name = model if isinstance(model, str) else model.__name__
    return {"$ref": f"#/components/schemas/{name}"}


def sometimes(description: str | None = None) -> Any:
    """A field that is absent where it is unknown, never null."""
    return FieldInfo(default=None, description=description, json_schema_extra=_without_default)


def body_of(
    models: type[BaseModel] | tuple[type[BaseModel], ...] | None, *, required: bool = True
) -> dict[str, Any]:
    """The request body of an operation: one of these models."""
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
