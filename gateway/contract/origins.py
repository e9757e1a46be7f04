"""Normalizes host names and origins, so that they can be compared."""

import re
from ipaddress import IPv6Address

_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>[0-9]{0,5}))?", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def host_in(authority: str) -> str | None:
    """Return the host of `host` or `host:port`; None if the text is neither.

    The host is in lower case, without a dot at its end; an IPv6 address is compressed and in brackets.
    Source: RFC 9110, 4.2.3 and 7.2.
    """
    parts = _parts_of(authority)
    return None if parts is None else parts[0]


def origin_in(text: str) -> str | None:
    """Return the origin `scheme://host[:port]` as browsers send it, without the scheme's default port and
    without a slash at its end; None if the text is not such an origin (for example `null`).
    Source: RFC 6454, 6.2."""
    scheme, separator, rest = text.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        return None
    parts = _parts_of(rest.removesuffix("/"))
    if parts is None:
        return None
    host, port = parts
    scheme = scheme.lower()
    return f"{scheme}://{host}" + ("" if port in ("", _DEFAULT_PORTS.get(scheme)) else f":{port}")


def host_of_origin(origin: str) -> str | None:
    """Return the host of an http or https origin, normalized as in host_in; None for any other text."""
    known = origin_in(origin)
    if known is None:
        return None
    scheme, _, authority = known.partition("://")
    return host_in(authority) if scheme in _DEFAULT_PORTS else None


def _parts_of(authority: str) -> tuple[str, str] | None:
    """Return host and port; the port is empty if the authority has none."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        return None
    host, port = found["host"].lower(), (found["port"] or "").lstrip("0")
    if port and int(port) > 65_535:
        return None
    if host.startswith("["):
        try:
            return f"[{IPv6Address(host[1:-1])}]", port
        except ValueError:
            return None
    host = host.removesuffix(".")
    return (host, port) if host else None
