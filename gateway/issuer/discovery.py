"""Reads an issuer's configuration and its keys over HTTP, within limits of time and size.

Source: OpenID Connect Discovery 1.0, 4; RFC 9111, 5.2.2.
"""

import asyncio
import re
import ssl
from dataclasses import dataclass
from typing import Any

import httpx

from gateway.contract.issuer_urls import check_secure_url
from gateway.issuer.signing_keys import SigningKeys
from gateway.issuer.strict_json import strict_object

CONFIGURATION = "/.well-known/openid-configuration"
MAX_BYTES = 256 * 1024
"""Maximum size of each of the two documents."""

FETCH_S = 5.0
"""Maximum seconds for both documents together."""

USUAL_AGE_S, MIN_AGE_S, MAX_AGE_S = 300.0, 60.0, 3600.0
"""Seconds for which keys are not read again: without `max-age`, and the bounds of it."""

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=\"?([0-9]{1,9})", re.IGNORECASE)


class DiscoveryFailed(Exception):
    """The issuer's keys could not be read. The message has the address and the reason."""


@dataclass(frozen=True, slots=True)
class Published:
    """Keys as published. max_age_s: seconds after which they should be read again."""

    keys: SigningKeys
    max_age_s: float


class Discovery:
    """Reads the keys of one issuer.

    Args:
        issuer: its address, as check_secure_url allows.
        within_s: maximum seconds for both documents together.
    """

    def __init__(self, issuer: str, within_s: float = FETCH_S) -> None:
        self._issuer = issuer
        self._within_s = within_s
        self._certificates: ssl.SSLContext | None = None

    async def keys(self) -> Published:
        """Read configuration and keys. Raises DiscoveryFailed."""
        url = self._issuer.removesuffix("/") + CONFIGURATION
        try:
            async with asyncio.timeout(self._within_s):
                if self._certificates is None:  # to read the system's certificates takes 20 ms or more
                    self._certificates = await asyncio.to_thread(ssl.create_default_context)
                configuration, _ = await self._object_at(url)
                url = self._keys_url(url, configuration)
                key_set, headers = await self._object_at(url)
        except TimeoutError:
            raise DiscoveryFailed(f"{url} does not answer within {self._within_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise DiscoveryFailed(f"{url} cannot be reached: {str(error) or type(error).__name__}") from error
        try:
            keys = SigningKeys(key_set.get("keys"))
        except ValueError as error:
            raise DiscoveryFailed(f"{url} is not a key set: {error}") from None
        if not keys:
            raise DiscoveryFailed(f"{url} has no key for an accepted algorithm")
        return Published(keys, max_age_in(headers.get("cache-control", "")))

    def _keys_url(self, url: str, configuration: dict[str, Any]) -> str:
        issuer, keys_url = configuration.get("issuer"), configuration.get("jwks_uri")
        if issuer != self._issuer:
            raise DiscoveryFailed(f"{url} is the configuration of {str(issuer)[:300]}")
        if not isinstance(keys_url, str):
            raise DiscoveryFailed(f"{url} has no jwks_uri")
        try:
            check_secure_url(keys_url)
        except ValueError as error:
            raise DiscoveryFailed(f"{url} has a jwks_uri that is not allowed: {error}") from None
        return keys_url

    async def _object_at(self, url: str) -> tuple[dict[str, Any], httpx.Headers]:
        """Return a JSON object and the response's headers. No redirect is followed."""
        # Proxies of the environment are for other machines; an issuer on this one is asked directly.
        other_machine = url.startswith("https://")
        assert self._certificates is not None  # noqa: S101
        async with (
            httpx.AsyncClient(
                verify=self._certificates,
                trust_env=other_machine,
                timeout=self._within_s,
                follow_redirects=False,
            ) as client,
            client.stream(
                "GET", url, headers={"accept": "application/json", "accept-encoding": "identity"}
            ) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise DiscoveryFailed(f"{url} answers with status {response.status_code}")
            body = bytearray()
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > MAX_BYTES:
                    raise DiscoveryFailed(f"{url} answers with more than {MAX_BYTES} bytes")
        try:
            return strict_object(bytes(body)), response.headers
        except ValueError as error:
            raise DiscoveryFailed(f"{url} does not answer with a JSON object: {error}") from None


def max_age_in(cache_control: str) -> float:
    """Return for how many seconds a response with this Cache-Control may be used, within the bounds."""
    if re.search(r"no-(cache|store)", cache_control, re.IGNORECASE):
        return MIN_AGE_S
    found = _MAX_AGE.search(cache_control)
    return USUAL_AGE_S if found is None else min(max(float(found[1]), MIN_AGE_S), MAX_AGE_S)
