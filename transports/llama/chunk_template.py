"""Fast path for chunks that differ only in their text, as llama.cpp's: only that string is decoded."""

import re
from collections.abc import Sequence

import msgspec

from transports.llama.chunks import Choice, Chunk, Message, decode_strictly

MAX_MISSES = 4
"""Maximum number of templates in a row that fit no chunk; after that no more are learned."""

MAX_FRAMES = 64
"""Maximum number of frames that are decoded at once: they are decoded again if one of them is malformed."""

_CONTENT = re.compile(rb'"content":("(?:[^"\\]|\\.)*+")')
_PROBE = "another text"
_EVENT = b"data: %b\n\n"
_decode_text = msgspec.json.Decoder(str).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode


class ChunkTemplate:
    """The bytes before and after the content of a reply's chunks, learned from a fully decoded one."""

    __slots__ = ("_begin", "_end", "_has_fitted", "_misses", "_prefix", "_suffix")

    def __init__(self) -> None:
        self._prefix = b""
        self._suffix = b""
        self._begin = 0  # of the string with its quotes, in an event; 0 without a template
        self._end = 0  # counted from the event's end
        self._has_fitted = False
        self._misses = 0

    def text_in_event(self, event: bytes) -> str | None:
        """Return the content of an event `data: `, a chunk that fits the template, and an empty line.

        Returns None for other bytes and empty content.
        """
        begin, end = self._begin, self._end
        if not begin or event[:begin] != self._prefix or event[end:] != self._suffix:
            return None
        string = event[begin:end]
        if string[:1] != b'"' or string[-1:] != b'"':
            return None
        try:  # decoded with its quotes, so that anything but one JSON string is refused
            text = _decode_text(string)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        self._has_fitted = True
        return text or None

    def texts_in(self, frames: Sequence[bytes], start: int = 0) -> list[str]:
        """Return the contents of the frames from `start` on, data of events, until the first one that
        text_in_event would not accept; at most MAX_FRAMES."""
        strings = self._strings_in(frames[start : start + MAX_FRAMES]) if self._begin else []
        if not strings:
            return []
        try:
            texts = _decode_texts(b"[%b]" % b",".join(strings))
        except (msgspec.DecodeError, UnicodeDecodeError):
            texts = []
        if len(texts) == len(strings) and all(texts):
            self._has_fitted = True
            return texts
        texts = []
        for frame in frames[start : start + len(strings)]:
            if (text := self.text_in_event(_EVENT % frame)) is None:
                break
            texts.append(text)
        return texts

    def _strings_in(self, frames: Sequence[bytes]) -> list[bytes]:
        prefix, suffix = self._prefix[len(b"data: ") :], self._suffix[: -len(b"\n\n")]
        begin, end = len(prefix), -len(suffix)
        strings = []
        for frame in frames:
            if frame[:begin] != prefix or frame[end:] != suffix:
                break
            strings.append(frame[begin:end])
        return strings

    def learn(self, frame: bytes, chunk: Chunk) -> None:
        """Learn the position of the content from a frame and its chunk, if the chunk has no other data.

        Decodes the frame with another text at that position, to make sure that no other field was found.
        """
        if self._misses > MAX_MISSES or not _is_plain(chunk):
            return
        self._misses = 0 if self._has_fitted else self._misses + 1
        self._begin, self._has_fitted = 0, False
        place = _CONTENT.search(frame)
        if place is None:
            return
        start, end = place.span(1)
        try:
            probed = decode_strictly(b'%b"%b"%b' % (frame[:start], _PROBE.encode(), frame[end:]))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if _is_plain(probed) and _content_of(probed) == _PROBE and probed.model == chunk.model:
            event = _EVENT % frame
            self._begin, self._end = start + len(b"data: "), end - len(frame) - len(b"\n\n")
            self._prefix, self._suffix = event[: self._begin], event[self._end :]


def _is_plain(chunk: Chunk) -> bool:
    """True if the chunk has only text and the model's name."""
    if not (content := _content_of(chunk)):
        return False
    return chunk == Chunk(choices=[Choice(delta=Message(content=content))], model=chunk.model)


def _content_of(chunk: Chunk) -> str | None:
    choice = chunk.choices[0] if chunk.choices else None
    return None if choice is None or choice.delta is None else choice.delta.content
