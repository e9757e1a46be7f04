"""Hosts and origins in one spelling each, so that they can be compared."""

import re
from ipaddress import IPv6Address

_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>[0-9]{0,5}))?", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def host_in(authority: str) -> str | None:
    """The host of `host` or `host:port`; None if this is neither.

    In lower case, without the dot that may end a name; IPv6 addresses are compressed and in brackets.
    Source: RFC 9110, 4.2.3 and 7.2.
    """
    parts = _parts_of(authority)
    return None if parts is None else parts[0]


def origin_in(text: str) -> str | None:
    """The origin `scheme://host[:port]` as browsers spell it, without the scheme's own port; None if the text
    is none, as `null` is not. A slash at its end is left out. Source: RFC 6454, 6.2."""
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
    """The host of a web page's origin, as host_in gives it; None if it is no page's."""
    known = origin_in(origin)
    if known is None:
        return None
    scheme, _, authority = known.partition("://")
    return host_in(authority) if scheme in _DEFAULT_PORTS else None


def _parts_of(authority: str) -> tuple[str, str] | None:
    """Host and port, the port empty where there is none."""
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
