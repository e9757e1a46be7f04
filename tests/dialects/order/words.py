"""The order of the dialects that are strings to append: words and text."""

import json
from collections.abc import Iterable

from tests.dialects.order.frames import Heard, frames_of, unnamed


def hear(body: bytes) -> Heard:
    return hear_strings(json.loads(data) for data in unnamed(frames_of(body)))


def hear_text(body: bytes) -> Heard:
    told = [json.loads(data) for data in unnamed(frames_of(body))]
    assert all(list(event) == ["text"] for event in told)
    return hear_strings(event["text"] for event in told)


def hear_strings(strings: Iterable[str]) -> Heard:
    heard = Heard()
    for said in strings:
        assert isinstance(said, str)
        assert heard.error is None
        if said.startswith("Error: "):
            heard.error = said.removeprefix("Error: ")
            heard.ends = ("error",)
        else:
            heard.text += said
    return heard
