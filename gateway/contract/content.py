"""The content of a message: plain text, or a list of parts with images, sound or files."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct

from gateway.contract.record import replace

Kind = Literal["image", "audio"]
"""A kind of content besides text that a model may or may not accept."""

Need = Kind | Literal["embeddings"]
"""An ability that a request needs of its worker: a kind of content, or that it makes embeddings."""

AudioFormat = Literal["wav", "mp3"]


class Text(Struct, frozen=True):
    text: str

    def as_json(self) -> dict[str, Any]:
        return {"type": "text", "text": self.text}


class Image(Struct, frozen=True):
    """An image.

    Attributes:
        base64: the image's bytes: RFC 4648, section 4, with padding, without line breaks.
        detail: the `detail` of OpenAI's chat API, passed to the model server.
    """

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


class Audio(Struct, frozen=True):
    """Sound. `base64` is encoded as in Image."""

    format: AudioFormat
    base64: str

    @property
    def data(self) -> bytes:
        return base64.b64decode(self.base64)

    def as_json(self) -> dict[str, Any]:
        return {"type": "input_audio", "input_audio": {"data": self.base64, "format": self.format}}


class File(Struct, frozen=True):
    """A text file in UTF-8.

    Attributes:
        name: the file name that the client sent; it may contain any character.
        base64: the file's bytes, encoded as in Image.
    """

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
"""Content without attachments is always a string; a tuple contains at least one attachment."""


def text_of(content: Content) -> str:
    """Return the text parts without the text of files: for titles, search and clients that read no parts."""
    if isinstance(content, str):
        return content
    return "\n".join(part.text for part in content if isinstance(part, Text))


def parts_of(content: Content) -> tuple[Part, ...]:
    """Return the parts; empty for a string."""
    return () if isinstance(content, str) else content


def without_attachments(content: Content) -> Content:
    """Return the content with attachments that are empty, so that they can be counted only."""
    if isinstance(content, str):
        return content
    return tuple(part if isinstance(part, Text) else replace(part, base64="") for part in content)


def size_of(part: Part) -> int:
    """Return the size of an attachment in bytes, decoded; 0 for text."""
    if isinstance(part, Text):
        return 0
    return len(part.base64) * 3 // 4 - part.base64[-2:].count("=")


def chars_of(content: Content) -> int:
    """Return the number of characters of text that the model receives, including the text of files."""
    if isinstance(content, str):
        return len(content)
    return sum(len(part.text) for part in content if isinstance(part, Text | File))


def kinds_in(contents: Iterable[Content]) -> set[Kind]:
    """Return the kinds of content besides text that a model must accept for these contents."""
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
    """Return the content for model servers and workers: OpenAI's parts, or a string if all of it is text.

    A file becomes text that begins with its name, because few model servers support file parts.
    """
    if isinstance(content, str):
        return content
    readable = [Text(file_as_text(part)) if isinstance(part, File) else part for part in content]
    texts = [part.text for part in readable if isinstance(part, Text)]
    return "\n\n".join(texts) if len(texts) == len(readable) else [part.as_json() for part in readable]


def part_of_json(written: Mapping[str, Any]) -> Part:
    """Return the part from its `as_json()`."""
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


def file_as_text(file: File) -> str:
    """Return the text that models receive for a file: its name, and its text."""
    return f"--- File: {file.name} ---\n{file.text}"


def _split(data_url: str) -> tuple[str, str]:
    head, _, encoded = data_url.partition(",")
    return head.removeprefix("data:").removesuffix(";base64"), encoded
