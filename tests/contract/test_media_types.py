"""A media type is found by the content alone."""

import pytest

from gateway.contract.media_types import media_type_of


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a\x01\0\xff", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"BM\x10\0\0\0", "image/bmp"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav"),
        (b"ID3\x04\0\0", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"<html><script>alert(1)</script>", "text/plain"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "text/plain"),
        ("Größe 日本語".encode(), "text/plain"),
        (b"BMW is a text", "text/plain"),
        (b"%PDF-1.7\n\xe2\xe3", None),
        (b"MZ\x90\0", None),
        (b"\xff\xfe\0h", None),
        (b"RIFF\x10\0\0\0AVI LIST", None),
        (b"text with \0", None),
    ],
)
def test_the_type_is_found_by_the_content(data: bytes, media_type: str | None) -> None:
    assert media_type_of(data) == media_type
