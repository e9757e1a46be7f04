"""Hosts with ports, in which an IPv6 address stands in brackets: `broker:1883`, `[::1]:1883`."""

import re

_IPV6 = r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"
_LABEL = "[A-Za-z0-9_-]{1,63}"
"""Python raises UnicodeError when it looks up a name with an empty or longer label, such as `a..b`."""

HOST = rf"{_LABEL}(?:\.{_LABEL})*\.?|{_IPV6}|\[{_IPV6}\]"
"""Pattern of a host name or an address alone."""


def address_of(host: str, port: int) -> str:
    """Return host and port as one text."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_host(text: str | None) -> bool:
    """Return True for a host name or an address alone."""
    return re.fullmatch(HOST, text or "") is not None


def split_address(text: str) -> tuple[str, str]:
    """Return the host, without brackets, and the port, which is empty if the text has none: behind an IPv6
    address without brackets there is none. Raises ValueError."""
    if re.fullmatch(HOST, text):
        return without_brackets(text), ""
    host, _, port = text.rpartition(":")
    if not re.fullmatch(HOST, host) or not re.fullmatch(r"[0-9]{1,5}", port):
        raise ValueError("it must be HOST or HOST:PORT, such as broker.lan, 10.0.0.5:1883 or [fd00::5]:1883")
    return without_brackets(host), port


def without_brackets(host: str) -> str:
    """Return an IPv6 address that stands in brackets without them, and other texts as they are."""
    return host[1:-1] if re.fullmatch(rf"\[{_IPV6}\]", host) else host
