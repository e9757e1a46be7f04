"""Content in parts: accepted as it was sent, or refused with the place and the reason."""

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.content import (
    Audio,
    Content,
    File,
    Image,
    Part,
    Text,
    chars_of,
    kinds_in,
    model_json,
    part_of_json,
    size_of,
    text_of,
)
from gateway.contract.content_parser import AUDIO_FORMATS, DETAILS, IMAGE_TYPES, MAX_PARTS, read_content
from gateway.contract.errors import Unprocessable

TEXT = {"type": "text", "text": "What is it?"}
URL = "data:image/png;base64,iVBORw=="


def image(url: Any, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def audio(data: Any = "UklG", format: Any = "wav") -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": data, "format": format}}


def file(data: Any = "data:text/plain;base64,SGkK", **more: Any) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": data, "filename": "notes.txt", **more}}


def encoded(data: bytes) -> str:
    return b64encode(data).decode()


attachments = st.one_of(
    st.builds(
        Image,
        st.sampled_from(IMAGE_TYPES),
        st.binary(min_size=1).map(encoded),
        st.sampled_from([None, *DETAILS]),
    ),
    st.builds(Audio, st.sampled_from(AUDIO_FORMATS), st.binary(min_size=1).map(encoded)),
    st.builds(
        File,
        st.text(min_size=1, max_size=255),
        st.sampled_from(["text/plain", "text/x-python", "application/json", "application/ld+json"]),
        st.text(min_size=1).map(lambda text: encoded(text.encode())),
    ),
)
parts: st.SearchStrategy[tuple[Part, ...]] = st.tuples(
    st.lists(attachments | st.builds(Text, st.text()), max_size=4),
    attachments,
    st.lists(attachments | st.builds(Text, st.text()), max_size=4),
).map(lambda drawn: (*drawn[0], drawn[1], *drawn[2]))


def test_an_images_url_may_stand_alone() -> None:
    alone = [{"type": "image_url", "image_url": URL}]
    assert read_content(alone, "content", 99) == read_content([image(URL)], "content", 99)


@settings(deadline=None, database=None)
@given(parts)
def test_parts_are_read_as_they_are_written(given_parts: tuple[Part, ...]) -> None:
    written = [part.as_json() for part in given_parts]
    assert read_content(written, "content", 10_000_000) == given_parts
    assert tuple(map(part_of_json, written)) == given_parts


@settings(deadline=None, database=None)
@given(st.binary(min_size=1, max_size=100))
def test_bytes_are_counted_and_come_back(data: bytes) -> None:
    content = read_content([image("data:image/png;base64," + encoded(data))], "content", len(data))
    part = content[0]
    assert isinstance(part, Image)
    assert (part.data, size_of(part)) == (data, len(data))
    with pytest.raises(Unprocessable, match=f"must be at most {len(data) - 1} bytes, not {len(data)}"):
        read_content([image("data:image/png;base64," + encoded(data))], "content", len(data) - 1)


@pytest.mark.parametrize(
    ("said", "content"),
    [
        ("Hi", "Hi"),
        ([TEXT], "What is it?"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        ([image("DATA:Image/PNG;Base64,iVBORw==")], (Image("image/png", "iVBORw=="),)),
        ([image("data:image/jpg;base64,/9j/")], (Image("image/jpeg", "/9j/"),)),
        ([file("data:text/plain;charset=utf-8;base64,SGkK")], (File("notes.txt", "text/plain", "SGkK"),)),
        ([file("data:application/octet-stream;base64,SGkK")], (File("notes.txt", "text/plain", "SGkK"),)),
        ([file("data:;base64,SGkK")], (File("notes.txt", "text/plain", "SGkK"),)),
        ([image(URL, detail="original")], (Image("image/png", "iVBORw==", "original"),)),
        ([file(filename="")], (File("file", "text/plain", "SGkK"),)),
        ([file(filename=None)], (File("file", "text/plain", "SGkK"),)),
        ([{**image(URL), "other": 1}], (Image("image/png", "iVBORw=="),)),
        (
            [TEXT] * (MAX_PARTS - 1) + [image(URL)],
            (Text("What is it?"),) * 99 + (Image("image/png", "iVBORw=="),),
        ),
    ],
)
def test_accepted(said: object, content: Content) -> None:
    assert read_content(said, "content", 1000) == content


@pytest.mark.parametrize(
    ("said", "field", "problem"),
    [
        (5, "content", "string or a list of parts"),
        (None, "content", "string or a list of parts"),
        ([], "content", "must not be empty"),
        ([TEXT] * (MAX_PARTS + 1), "content", "at most 100 parts, not 101"),
        ([5], "content.0", "must be an object"),
        ([{}], "content.0.type", "one of text, image_url, input_audio, file"),
        ([TEXT, {"type": "video"}], "content.1.type", "'video' is not supported"),
        ([{"type": []}], "content.0.type", "must be one of"),
        ([{"type": "text"}], "content.0.text", "must be a string"),
        ([{"type": "image_url"}], "content.0.image_url", "must be an object"),
        ([{"type": "image_url", "image_url": 5}], "content.0.image_url", "must be an object"),
        (
            [{"type": "image_url", "image_url": "https://a.example/b"}],
            "content.0.image_url.url",
            "no address is",
        ),
        ([image(None)], "content.0.image_url.url", "must be a string"),
        ([image("https://example.org/cat.png")], "content.0.image_url.url", "no address is fetched"),
        ([image("http://169.254.169.254/,x")], "content.0.image_url.url", "no address is fetched"),
        ([image("file:///etc/passwd")], "content.0.image_url.url", "no address is fetched"),
        ([image("")], "content.0.image_url.url", "must be a data URL"),
        ([image("data:image/png;base64")], "content.0.image_url.url", "must be a data URL"),
        ([image("data:image/png;base64,")], "content.0.image_url.url", "must not be empty"),
        ([image("data:image/png,abcd")], "content.0.image_url.url", "in base64"),
        ([image("data:;base64,abcd")], "content.0.image_url.url", "'' is not supported"),
        (
            [image("data:image/svg+xml;base64,abcd")],
            "content.0.image_url.url",
            "'image/svg+xml' is not supported",
        ),
        ([image("data:application/pdf;base64,abcd")], "content.0.image_url.url", "is not supported"),
        *(
            ([image(f"data:image/png;base64,{wrong}")], "content.0.image_url.url", "must be base64")
            for wrong in [
                "abc",
                "a",
                "====",
                "a===",
                "ab=c",
                "ab\ncdef=",
                "ab cd",
                "-_-_",
                "abcé",
                "abcd====",
                "%%%%",
            ]
        ),
        ([image(URL, detail="great")], "content.0.image_url.detail", "one of auto, low, high"),
        (
            [image("data:image/png;base64," + "A" * 1400)],
            "content.0.image_url.url",
            "at most 1000 bytes, not 1050",
        ),
        ([audio(format="ogg")], "content.0.input_audio.format", "one of wav, mp3"),
        ([audio(format=[])], "content.0.input_audio.format", "one of wav, mp3"),
        ([audio(data="")], "content.0.input_audio.data", "must not be empty"),
        ([audio(data="data:audio/wav;base64,UklG")], "content.0.input_audio.data", "must be base64"),
        (
            [file("data:application/pdf;base64,SGkK", filename="a.pdf")],
            "content.0.file.file_data",
            "'a.pdf' is 'application/pdf'",
        ),
        (
            [file("data:application/octet-stream;base64,AAA=")],
            "content.0.file.file_data",
            "only text files are supported",
        ),
        ([file("data:text/plain;base64,/w==")], "content.0.file.file_data", "must be text in UTF-8"),
        ([file(filename="n" * 256)], "content.0.file.filename", "at most 255 characters"),
        ([file(filename=5)], "content.0.file.filename", "must be a string"),
        ([{"type": "file", "file": {"file_id": "x"}}], "content.0.file.file_data", "must be a string"),
    ],
)
def test_refused_by_name(said: object, field: str, problem: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        read_content(said, "content", 1000)
    assert list(refused.value.fields) == [field]
    assert problem in str(refused.value)


CONTENT: Content = (Text("a"), File("n.txt", "text/plain", encoded(b"bc")), Image("image/png", "iVBORw=="))


def test_a_file_goes_to_the_model_as_text_under_its_name() -> None:
    assert model_json(CONTENT[:2]) == "a\n\n--- File: n.txt ---\nbc"
    told = model_json(CONTENT)
    assert isinstance(told, list)
    assert [part["type"] for part in told] == ["text", "text", "image_url"]


def test_what_is_counted_as_text() -> None:
    assert (text_of(CONTENT), chars_of(CONTENT), kinds_in([CONTENT, "x"])) == ("a", 3, {"image"})
