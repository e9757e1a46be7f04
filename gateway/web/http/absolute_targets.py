"""Request targets that are whole URLs, as clients send them to a proxy. Source: RFC 9112, 3.2.2."""

import re

_ABSOLUTE_TARGET = re.compile(rb"https?://(?P<host>[^/?#]+)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)


def path_of(target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes | None:
    """Return the path and query of a target that is a URL, and replace the Host header by the URL's host.

    `*` is returned as it is; None for other targets.
    """
    absolute = _ABSOLUTE_TARGET.fullmatch(target)
    if absolute is not None:
        headers[:] = [(name, absolute["host"] if name == b"host" else value) for name, value in headers]
        return b"/" + absolute["rest"].removeprefix(b"/")
    return target if target == b"*" else None
