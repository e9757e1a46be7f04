"""The field `content` of a message: a string or a list of parts, checked and described."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from gateway.contract.content import Content, chars_of, parts_of, text_of
from gateway.contract.content_parser import (
    AUDIO_FORMATS,
    DETAILS,
    IMAGE_TYPES,
    MAX_NAME_CHARS,
    MAX_PARTS,
    read_content,
)
from gateway.contract.misfits import misfit

_BASE64 = "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$"


def _part(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    properties = {"type": {"const": kind}, kind: schema}
    return {"type": "object", "properties": properties, "required": ["type", kind]}


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


_IMAGE_DATA_URL = {
    "type": "string",
    "pattern": f"^data:({'|'.join(IMAGE_TYPES)});base64,{_BASE64}",
    "description": "The image itself. No address is fetched.",
}
TEXT_PART = _part("text", {"type": "string"})
_ATTACHMENTS = [
    _part(
        "image_url",
        {"anyOf": [_object("url", url=_IMAGE_DATA_URL, detail={"enum": [*DETAILS, None]}), _IMAGE_DATA_URL]},
    ),
    _part(
        "input_audio",
        _object(
            "data",
            "format",
            data={"type": "string", "pattern": f"^{_BASE64}"},
            format={"enum": list(AUDIO_FORMATS)},
        ),
    ),
    _part(
        "file",
        _object(
            "file_data",
            file_data={
                "type": "string",
                "format": "text-file-data-url",
                "description": "A text file in UTF-8, such as data:text/plain;base64,SGkK",
            },
            filename={"type": ["string", "null"], "maxLength": MAX_NAME_CHARS},
        ),
    ),
]
"""Schemas of the parts that read_content accepts (gateway/contract/content_parser.py)."""


UPLOADED = _part("attachment", _object("id", id={"type": "string", "format": "uuid"}))
"""Schema of a part that names an uploaded attachment; gateway.web.chat.attached_parts replaces it."""


def parts_schema(*more_parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_PARTS,
        "items": {"anyOf": [TEXT_PART, *_ATTACHMENTS, *more_parts]},
    }


def content_schema(text: dict[str, Any], *more_parts: dict[str, Any], says_something: bool) -> dict[str, Any]:
    """Return the JSON schema of a `content` field.

    Args:
        text: schema of a plain string.
        more_parts: schemas of further kinds of parts.
        says_something: True if a list of parts that is empty, or has only white space, is refused.
    """
    parts = parts_schema(*more_parts)
    if not says_something:
        parts["minItems"] = 0
    else:
        parts["contains"] = {
            "anyOf": [_part("text", {"type": "string", "pattern": r"\S"}), *_ATTACHMENTS, *more_parts]
        }
    return {"anyOf": [text, parts]}


def _is_content(said: object) -> object:
    if not isinstance(said, str | list):
        raise ValueError("must be a string or a list of parts")
    if isinstance(said, str) and not said.strip():
        raise ValueError("must not be empty")
    return said


SaidInParts = Annotated[
    Any,
    AfterValidator(_is_content),
    Field(
        description="Text of at most MAX_CONTENT_CHARS characters, not only white space; or a list of "
        "parts: text, images, sound and text files, and the ids of uploaded attachments.",
        json_schema_extra=content_schema({"type": "string", "pattern": r"\S"}, UPLOADED, says_something=True),
    ),
]
"""The `content` of a message as it was sent. `asked_content` parses it."""


def asked_content(said: object, max_chars: int, max_attachment_bytes: int) -> Content:
    """Return the content of a message. Raises Unprocessable if it is invalid, empty or too long.

    Args:
        said: a SaidInParts.
        max_chars: maximum for its text and its text files together.
        max_attachment_bytes: maximum size of one image, sound or file.
    """
    content = read_content(said, "content", max_attachment_bytes)
    check_chars(content, max_chars, "content")
    if not parts_of(content) and not text_of(content).strip():
        raise misfit("content", "must not be empty")
    return content


def check_chars(content: Content, max_chars: int, field: str) -> None:
    """Raise Unprocessable, naming `field`, if text and text files have more than `max_chars` characters."""
    chars = chars_of(content)
    if chars > max_chars:
        raise misfit(field, f"must have at most {max_chars} characters, not {chars}")
