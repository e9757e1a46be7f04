"""Turns of a conversation that several people have with the model: texts with names, in alternating roles.

A name and a colon begin a line. All further lines of the message are indented, so that no text can look like
a message of another author. See docs/adr/0050-further-lines-are-indented.md.
"""

import re
from collections.abc import Sequence
from itertools import groupby

from gateway.contract.authors import Author
from gateway.contract.content import Content, File, Part, Text, file_as_text, parts_of
from gateway.contract.record import replace
from gateway.contract.requests import Turn

MAX_NAME_CHARS = 64

INDENT = "  "
_BREAK = r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]"
"""The line breaks of str.splitlines."""
_BEFORE_LINE = re.compile(f"(?<={_BREAK})(?!{_BREAK}|$)")
_MARK_IN_NAME = re.compile(r":+(?=\s|$)")


def named(author: Author, content: Content) -> Content:
    """Return the content with `name: ` before its text, and further lines indented. Files become text."""
    name = " ".join(_MARK_IN_NAME.sub(" ", author.name or "").split())[:MAX_NAME_CHARS] or author.kind
    if isinstance(content, str):
        return f"{name}: {_indented(content)}"
    parts = [Text(file_as_text(part)) if isinstance(part, File) else part for part in content]
    texts = [at for at, part in enumerate(parts) if isinstance(part, Text)]
    if not texts:
        return (Text(f"{name}:"), *parts)
    begins = dict.fromkeys(texts, INDENT) | {texts[0]: f"{name}: "}
    return tuple(
        Text(begins[at] + _indented(part.text)) if isinstance(part, Text) else part
        for at, part in enumerate(parts)
    )


def _indented(text: str) -> str:
    return _BEFORE_LINE.sub(INDENT, text)


def alternating(turns: Sequence[Turn]) -> list[Turn]:
    """Merge neighbouring turns of users, each on its own line, and those of the model: the templates of some
    models refuse two turns of one role. A last turn of the model stays alone, since it is to go on."""
    if turns and turns[-1].role == "assistant":
        return [*_merged(turns[:-1]), turns[-1]]
    return _merged(turns)


def _merged(turns: Sequence[Turn]) -> list[Turn]:
    merged: list[Turn] = []
    for (role, _), neighbours in groupby(turns, key=lambda turn: (turn.role, _is_plain(turn))):
        alike = list(neighbours)
        if len(alike) == 1 or not _is_plain(alike[0]):
            merged += alike
        else:
            separator = "\n" if role == "user" else "\n\n"
            merged.append(replace(alike[0], content=_joined([turn.content for turn in alike], separator)))
    return merged


def _is_plain(turn: Turn) -> bool:
    is_said = turn.role in ("user", "assistant")
    return is_said and not (turn.tool_calls or turn.tool_call_id or turn.reasoning_content)


def _joined(contents: Sequence[Content], separator: str) -> Content:
    texts = [content for content in contents if isinstance(content, str)]
    if len(texts) == len(contents):
        return separator.join(texts)
    parts: list[Part] = []
    for content in contents:
        parts += parts_of(content) or [Text(str(content))]
    return tuple(parts)
