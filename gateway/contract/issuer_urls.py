"""Checks addresses of an issuer of tokens."""

import re
from urllib.parse import urlsplit

from gateway.contract.host_ports import is_host

MAX_URL_CHARS = 300
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def checked_issuer_url(text: str) -> str:
    """Return the address of an issuer as it is; it may be empty. Raises ValueError, whose text says what is
    wrong.

    It is not normalized, not even a slash at its end: tokens and the issuer's configuration must repeat it
    exactly. Source: OpenID Connect Discovery 1.0, 4.3.
    """
    if text:
        check_secure_url(text)
        if "?" in text or "#" in text:
            raise ValueError("it must not have a query (?) or a fragment (#)")
    return text


def check_secure_url(url: str) -> None:
    """Raise ValueError unless the URL is one of https, or one of http on this machine.

    Whoever can change the response in transit could add keys of their own.
    """
    if len(url) > MAX_URL_CHARS or re.search(r"[^!-~]", url):
        raise ValueError(f"it must be at most {MAX_URL_CHARS} characters of visible ASCII")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"it is not an address: {error}") from None
    if not is_host(parts.hostname) or "@" in parts.netloc:
        raise ValueError("it must be like https://id.example/realms/chat, without a user and a password")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("it must begin with https://; http:// is allowed for 127.0.0.1 and localhost only")
