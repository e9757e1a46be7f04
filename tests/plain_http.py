"""An HTTP client for servers on this machine: no certificates are read for it and no proxy is asked."""

import ssl
from typing import Any

import httpx

_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""To read the machine's certificates takes longer than many a test."""


def plain_http(url: object = "", **more: Any) -> httpx.AsyncClient:
    """url: where paths without a host begin. more: as for httpx.AsyncClient."""
    usual: dict[str, Any] = {"timeout": 60, "verify": _NO_CERTIFICATES, "trust_env": False}
    return httpx.AsyncClient(base_url=str(url), **{**usual, **more})
