"""Open mode: checks requests without a key while there are no API keys.

Any web page can make a browser send requests to 127.0.0.1, with a foreign Host (DNS rebinding) or a foreign
Origin, and a proxy forwards requests of strangers: all three are refused. The bind address and ALLOW_OPEN do
not change this.
"""

import re
from collections.abc import Collection
from functools import lru_cache

from gateway.contract.errors import BadRequest, Forbidden
from gateway.contract.origins import host_in, host_of_origin, origin_in
from gateway.web.door.proxies import TrustedProxies, peer_of
from gateway.web.http.asgi import Scope

# Headers that proxies, CDNs and load balancers add to forwarded requests.
_FORWARDED = re.compile(
    rb"(.*-)?via|(.*-)?forwarded.*|x-forward-for|x-original-.*|x-rewrite-url|x-real-.*|cdn-loop|cf-.*|fly-.*"
    rb"|x-envoy-.*|x-azure-.*|x-appengine-.*|x-vercel-.*|x-nf-.*|x-amz-cf-.*|x-varnish|tailscale-.*"
    rb"|x-(http-)?host(-override)?|x-(url-)?scheme|x-(proto|https|nginx-proxy)|front-end-https"
    rb"|.*(client|connecting|real|remote|user|source|origin|originating|cluster)-?(ip|addr|address)"
)


MAX_REMEMBERED_BYTES = 64


def _matches(name: bytes) -> bool:
    return _FORWARDED.fullmatch(name.replace(b"_", b"-")) is not None


# Clients send the same names with every request, and the pattern takes 3 µs for each.
_remembered = lru_cache(maxsize=512)(_matches)


def _is_forwarded(name: bytes) -> bool:
    return _remembered(name) if len(name) <= MAX_REMEMBERED_BYTES else _matches(name)


def host_of(scope: Scope) -> str | None:
    """Return the request's host as host_in gives it; None for HTTP/1.0 without a Host header.

    Raises BadRequest if there is not exactly one valid Host. Source: RFC 9112, 3.2.
    """
    named = [value for name, value in scope["headers"] if name == b"host"]
    if len(named) > 1 or (not named and scope["http_version"] != "1.0"):
        raise BadRequest("The request needs exactly one Host header.")
    if not named or not named[0]:
        return None
    host = host_in(named[0].decode("latin-1"))
    if host is None:
        raise BadRequest("The Host header must be a host name or an address, with or without a port.")
    return host


class OpenMode:
    """Refuses requests by Host, Origin and forwarding headers while there are no API keys.

    Args:
        hosts: allowed hosts, as host_in gives them (ALLOWED_HOSTS).
        origins: further allowed origins of web pages, as origin_in gives them (CORS_ORIGINS).
        proxies: proxies that may forward requests (TRUSTED_PROXIES).
    """

    def __init__(self, hosts: Collection[str], origins: Collection[str], proxies: TrustedProxies) -> None:
        self._hosts = frozenset(hosts)
        self._origins = frozenset(origins)
        self._proxies = proxies

    def check(self, scope: Scope, host: str | None) -> None:
        """Raise Forbidden unless the request is allowed without a key. host: as host_of gives it."""
        if host not in self._hosts:
            asked = "no host" if host is None else host[:100]
            raise Forbidden(
                f"Without API keys, the Host header must name a host in ALLOWED_HOSTS; it names {asked}."
            )
        for name, value in scope["headers"]:
            if name == b"origin" and not self._lets_in(value.decode("latin-1")):
                raise Forbidden(
                    "Without API keys, only web pages of the hosts in ALLOWED_HOSTS may call this gateway. "
                    "To allow another origin, add it to CORS_ORIGINS."
                )
            if _is_forwarded(name) and not self._proxies.trusts(scope):
                raise Forbidden(
                    f"Without API keys, requests through a proxy are refused, and this one has the header "
                    f"{name.decode('latin-1')}. Add the proxy's address to TRUSTED_PROXIES, or create a key: "
                    "`sluice keys create`."
                )

    def check_admin(self, scope: Scope) -> None:
        """Raise Forbidden unless the request comes from this machine and through no proxy.

        Requests for administration only: with ALLOW_OPEN=1 or a trusted proxy, others may use the gateway
        without a key, but must not stop their neighbours' replies or create the first key.
        """
        peer = peer_of(scope)
        if peer is None or not peer.is_loopback or any(_is_forwarded(name) for name, _ in scope["headers"]):
            raise Forbidden(
                "Without API keys, administration is possible only from the gateway's own machine and not "
                "through a proxy. From elsewhere it needs a key: `sluice keys create --scopes admin`."
            )

    def _lets_in(self, origin: str) -> bool:
        return origin_in(origin) in self._origins or host_of_origin(origin) in self._hosts
