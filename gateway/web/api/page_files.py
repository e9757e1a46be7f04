"""Scripts, styles and fonts of the page, from the folder `gateway/page`.

Their path has a hash of all of them, so browsers may keep them for good: a new version has other paths.
"""

import functools
import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path

from fastapi import Request, Response

from gateway.contract.errors import NotFound

FOLDER = Path(__file__).parents[2] / "page"
MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_PARTS = ("app", "style", "sluice-client", "vendor")
_PACKED = frozenset({".woff2"})  # is compressed already
_FOR_GOOD = "public, max-age=31536000, immutable"


@functools.cache
def page_files() -> Mapping[str, Path]:
    """Return the files by their path in the folder, as in `app/main.js`."""
    found = (file for part in _PARTS for file in (FOLDER / part).rglob("*") if file.suffix in MEDIA_TYPES)
    return {file.relative_to(FOLDER).as_posix(): file for file in sorted(found)}


@functools.cache
def files_version() -> str:
    """Return a hash of all files, of 16 characters."""
    hashed = hashlib.sha256()
    for path, file in page_files().items():
        content = file.read_bytes()
        hashed.update(f"{path} {len(content)}\n".encode())
        hashed.update(content)
    return hashed.hexdigest()[:16]


@functools.cache
def packed_file(path: str) -> tuple[bytes, bytes | None]:
    """Return a file's bytes, and those by gzip."""
    file = page_files()[path]
    content = file.read_bytes()
    return content, None if file.suffix in _PACKED else gzip.compress(content, mtime=0)


async def page_file(request: Request, version: str, path: str) -> Response:
    """Answer with a file. Another version's path gets the present one, which is not to be kept."""
    if path not in page_files():
        raise NotFound(f"There is no file {path[:100]} of the page.")
    content, compressed = packed_file(path)
    headers = {
        "cache-control": _FOR_GOOD if version == files_version() else "no-cache",
        "vary": "Accept-Encoding",
    }
    if compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        content = compressed
        headers["content-encoding"] = "gzip"
    return Response(content, headers=headers, media_type=MEDIA_TYPES[page_files()[path].suffix])
