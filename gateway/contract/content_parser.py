"""Parses message content in the form of OpenAI's chat API: a string, or a list of parts. Source: OpenAI's API
reference, "Create chat completion", messages[].content.

No URL is ever fetched: images, sound and files must be in the request itself.
"""

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from gateway.contract.content import Audio, AudioFormat, Content, File, Image, Part, Text
from gateway.contract.errors import Unprocessable
from gateway.contract.media_types import TEXT, media_type_of
from gateway.contract.misfits import misfit

MAX_PARTS = 100
MAX_NAME_CHARS = 255
PART_TYPES = ("text", "image_url", "input_audio", "file")
_SUPPORTED_TYPES = ", ".join(PART_TYPES)
IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp")
AUDIO_FORMATS: tuple[AudioFormat, ...] = get_args(AudioFormat)
DETAILS = ("auto", "low", "high", "original")
_TEXT_FILES = re.compile(
    r"text/[a-z0-9.+-]+"
    r"|application/(?:[a-z0-9.-]+\+|x-)?(?:json|ndjson|xml|yaml|toml|sql|javascript|typescript|python|sh)"
)
_UNKNOWN = ("", "application/octet-stream")
"""Media types that browsers give files of unknown extensions, such as `.toml`: their content decides."""
_OTHER_NAMES = {"image/jpg": "image/jpeg"}

NO_DATA = "must contain the data itself: no address is fetched"
NO_DATA_URL = "must be a data URL such as data:TYPE/NAME;base64,...: no address is fetched"

_DATA = ("url", "data", "file_data")
"""Keys of the data in parts of OpenAI's form."""

ConvertedPart = tuple[dict[str, Any], str]
"""A part that another API's part was converted to, and the JSON path of its data in that API's request."""

_MAX_HEAD_CHARS = 200
"""Maximum length of the part of a data URL before its comma."""

_BASE64 = re.compile(r"[A-Za-z0-9+/]*+")
_STEP = 4 * 1024 * 1024
"""Characters checked by one regular expression call, so that it does not hold the GIL for long."""


def read_content(said: object, field: str, max_attachment_bytes: int) -> Content:
    """Parse content; several text parts without attachments become one string. Raises Unprocessable.

    Args:
        said: the content as decoded JSON.
        field: JSON path of the content in the request; the error names the wrong field below it.
        max_attachment_bytes: maximum size of one image, sound or file, decoded.
    """
    if isinstance(said, str):
        return said
    if not isinstance(said, list):
        raise misfit(field, "must be a string or a list of parts")
    if not said:
        raise misfit(field, "must not be empty")
    if len(said) > MAX_PARTS:
        raise misfit(field, f"must have at most {MAX_PARTS} parts, not {len(said)}")
    return _joined([_part(part, f"{field}.{at}", max_attachment_bytes) for at, part in enumerate(said)])


def read_converted(said: Sequence[ConvertedPart], field: str, max_attachment_bytes: int) -> Content:
    """Parse parts of another API like read_content; errors name the paths that its clients know. Without
    parts the content is an empty text."""
    if len(said) > MAX_PARTS:
        raise misfit(field, f"must have at most {MAX_PARTS} parts, not {len(said)}")
    parts: list[Part] = []
    for part, place in said:
        try:
            parts.append(_part(part, "part", max_attachment_bytes))
        except Unprocessable as exc:
            ((wrong, problem),) = exc.fields.items()
            key = wrong.rpartition(".")[2]
            beside = f"{place.rpartition('.')[0]}.{key}"  # such as the name of a file
            raise misfit(place if key in _DATA else beside, problem) from None
    return _joined(parts)


def _joined(parts: Sequence[Part]) -> Content:
    texts = [part.text for part in parts if isinstance(part, Text)]
    return "".join(texts) if len(texts) == len(parts) else tuple(parts)


def _part(said: object, at: str, max_bytes: int) -> Part:
    if not isinstance(said, Mapping):
        raise misfit(at, "must be an object with a type")
    match said.get("type"):
        case "text":
            return Text(_string(said, "text", at))
        case "image_url":
            if isinstance(url := said.get("image_url"), str):  # as clients of Ollama and Mistral send it
                said = {"image_url": {"url": url}}
            part: Part = _image(_object(said, "image_url", at), f"{at}.image_url", max_bytes)
        case "input_audio":
            part = _audio(_object(said, "input_audio", at), f"{at}.input_audio", max_bytes)
        case "file":
            part = _file(_object(said, "file", at), f"{at}.file", max_bytes)
        case str(other):
            raise misfit(f"{at}.type", f"{other[:50]!r} is not supported here; {_SUPPORTED_TYPES} are")
        case _:
            raise misfit(f"{at}.type", f"must be one of {_SUPPORTED_TYPES}")
    return part


def _image(said: Mapping[str, Any], at: str, max_bytes: int) -> Image:
    media_type, encoded = _data_url(said, "url", at, max_bytes)
    if media_type not in IMAGE_TYPES:
        raise misfit(f"{at}.url", f"{media_type!r} is not supported; {', '.join(IMAGE_TYPES)} are")
    detail = said.get("detail")
    if detail is not None and detail not in DETAILS:
        raise misfit(f"{at}.detail", f"must be one of {', '.join(DETAILS)}")
    return Image(media_type, encoded, detail)


def _audio(said: Mapping[str, Any], at: str, max_bytes: int) -> Audio:
    format = said.get("format")
    if format not in AUDIO_FORMATS:
        raise misfit(f"{at}.format", f"must be one of {', '.join(AUDIO_FORMATS)}")
    encoded = _string(said, "data", at)
    _check_base64(encoded, f"{at}.data", max_bytes)
    return Audio(format, encoded)


def _file(said: Mapping[str, Any], at: str, max_bytes: int) -> File:
    name = "" if said.get("filename") is None else said["filename"]
    if not isinstance(name, str) or len(name) > MAX_NAME_CHARS:
        raise misfit(f"{at}.filename", f"must be a string of at most {MAX_NAME_CHARS} characters")
    media_type, encoded = _data_url(said, "file_data", at, max_bytes)
    if media_type in _UNKNOWN and media_type_of(b64decode(encoded)) == TEXT:
        return File(name or "file", TEXT, encoded)
    if not _TEXT_FILES.fullmatch(media_type):
        raise misfit(f"{at}.file_data", f"{name!r} is {media_type!r}; only text files are supported")
    try:
        b64decode(encoded).decode("utf-8")
    except UnicodeDecodeError:
        raise misfit(f"{at}.file_data", "must be text in UTF-8") from None
    return File(name or "file", media_type, encoded)


def _data_url(said: Mapping[str, Any], key: str, at: str, max_bytes: int) -> tuple[str, str]:
    """Return the media type and the base64 text of the data URL under `key`."""
    url = _string(said, key, at)
    comma = url.find(",", 0, _MAX_HEAD_CHARS)
    scheme, _, head = url[: max(comma, 0)].lower().partition(":")
    if comma < 0 or scheme != "data":
        raise misfit(f"{at}.{key}", NO_DATA_URL)
    media_type, *parameters = (word.strip() for word in head.split(";"))
    if "base64" not in parameters[-1:]:
        raise misfit(f"{at}.{key}", "must be a data URL in base64, such as data:TYPE/NAME;base64,...")
    encoded = url[comma + 1 :]
    _check_base64(encoded, f"{at}.{key}", max_bytes)
    return _OTHER_NAMES.get(media_type, media_type), encoded


def _check_base64(encoded: str, at: str, max_bytes: int) -> None:
    if not encoded:
        raise misfit(at, "must not be empty")
    padding = encoded[-2:].count("=")
    size = len(encoded) * 3 // 4 - padding
    if size > max_bytes:
        raise misfit(at, f"must be at most {max_bytes} bytes, not {size}")
    end = len(encoded) - padding
    steps = range(0, end, _STEP)
    if len(encoded) % 4 or not all(
        _BASE64.fullmatch(encoded, begin, min(begin + _STEP, end)) for begin in steps
    ):
        raise misfit(at, "must be base64 with its padding and without line breaks (RFC 4648, 4)")


def _object(said: Mapping[str, Any], key: str, at: str) -> Mapping[str, Any]:
    value = said.get(key)
    if not isinstance(value, Mapping):
        raise misfit(f"{at}.{key}", "must be an object")
    return value


def _string(said: Mapping[str, Any], key: str, at: str) -> str:
    value = said.get(key)
    if not isinstance(value, str):
        raise misfit(f"{at}.{key}", "must be a string")
    return value
