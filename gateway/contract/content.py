"""The content of a message: plain text, or parts of which some are images, sound or files."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["image", "audio"]
"""What a model must be able to take in besides text."""

AudioFormat = Literal["wav", "mp3"]


@dataclass(frozen=True, slots=True)
class Text:
    text: str

    def as_json(self) -> dict[str, Any]:
        return {"type": "text", "text": self.text}


@dataclass(frozen=True, slots=True)
class Image:
    """base64: the image, in the alphabet of RFC 4648, 4, padded, without line breaks. detail: how closely the
    model is to look, as OpenAI's API names it."""

    media_type: str
    base64: str
    detail: str | None = None

    @property
    def data(self) -> bytes:
        return base64.b64decode(self.base64)

    def as_json(self) -> dict[str, Any]:
        image = {"url": f"data:{self.media_type};base64,{self.base64}"}
        if self.detail is not None:
            image["detail"] = self.detail
        return {"type": "image_url", "image_url": image}


@dataclass(frozen=True, slots=True)
class Audio:
    """base64: the sound, as in Image."""

    format: AudioFormat
    base64: str

    @property
    def data(self) -> bytes:
        return base64.b64decode(self.base64)

    def as_json(self) -> dict[str, Any]:
        return {"type": "input_audio", "input_audio": {"data": self.base64, "format": self.format}}


@dataclass(frozen=True, slots=True)
class File:
    """A text file in UTF-8. name: as its sender calls it; may hold any character. base64: as in Image."""

    name: str
    media_type: str
    base64: str

    @property
    def data(self) -> bytes:
        return base64.b64decode(self.base64)

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")

    def as_json(self) -> dict[str, Any]:
        file = {"file_data": f"data:{self.media_type};base64,{self.base64}", "filename": self.name}
        return {"type": "file", "file": file}


Attachment = Image | Audio | File
Part = Text | Attachment
Content = str | tuple[Part, ...]
"""Text alone is always a string; a tuple holds at least one attachment."""


def text_of(content: Content) -> str:
    """What was written, without what stands in files: for titles, search and readers that know no parts."""
    if isinstance(content, str):
        return content
    return "\n".join(part.text for part in content if isinstance(part, Text))


def parts_of(content: Content) -> tuple[Part, ...]:
    """The parts; none where the content is text alone."""
    return () if isinstance(content, str) else content


def size_of(part: Part) -> int:
    """Bytes of an attachment; 0 for text."""
    if isinstance(part, Text):
        return 0
    return len(part.base64) * 3 // 4 - part.base64[-2:].count("=")


def chars_of(content: Content) -> int:
    """Characters of text that the model gets to read, with what stands in files."""
    if isinstance(content, str):
        return len(content)
    return sum(len(part.text) for part in content if isinstance(part, Text | File))


def kinds_in(contents: Iterable[Content]) -> set[Kind]:
    """What a model must take in to understand them all."""
    kinds: set[Kind] = set()
    for content in contents:
        if isinstance(content, str):
            continue
        for part in content:
            if isinstance(part, Image):
                kinds.add("image")
            elif isinstance(part, Audio):
                kinds.add("audio")
    return kinds


def model_json(content: Content) -> str | list[dict[str, Any]]:
    """The content as model servers and workers take it: OpenAI's parts, but a string if all of it is text.

    Files become text under their names, since few servers know files.
    """
    if isinstance(content, str):
        return content
    readable = [Text(_told(part)) if isinstance(part, File) else part for part in content]
    texts = [part.text for part in readable if isinstance(part, Text)]
    return "\n\n".join(texts) if len(texts) == len(readable) else [part.as_json() for part in readable]


def part_of_json(written: Mapping[str, Any]) -> Part:
    """The part that `as_json` wrote."""
    match written["type"]:
        case "text":
            return Text(written["text"])
        case "image_url":
            image = written["image_url"]
            return Image(*_split(image["url"]), detail=image.get("detail"))
        case "input_audio":
            return Audio(written["input_audio"]["format"], written["input_audio"]["data"])
        case _:
            return File(written["file"]["filename"], *_split(written["file"]["file_data"]))


def _told(file: File) -> str:
    return f"--- File: {file.name} ---\n{file.text}"


def _split(data_url: str) -> tuple[str, str]:
    head, _, encoded = data_url.partition(",")
    return head.removeprefix("data:").removesuffix(";base64"), encoded
