"""Finds the media type of a file by its content: a name or a header may lie."""

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"ID3", "audio/mpeg"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
TEXT = "text/plain"


def media_type_of(data: bytes) -> str | None:
    """Return the type of an image or sound that models take, or TEXT for UTF-8 without NUL; else None.

    All text is TEXT, also HTML and SVG, so that no browser runs it.
    """
    if data[:4] == b"RIFF" and (riff := _RIFF.get(data[8:12])) is not None:
        return riff
    if _is_text(data):
        return TEXT
    for beginning, media_type in _BEGINNINGS:
        if data.startswith(beginning):
            return media_type
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2:  # an MPEG frame of layer III
        return "audio/mpeg"
    return None


def _is_text(data: bytes) -> bool:
    if b"\0" in data:
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
