"""Open mode, while nobody has keys: who may come in without one.

Any page in a browser can send requests to 127.0.0.1. It would do so under a Host that is not ours (DNS
rebinding) or with an Origin that is not ours; and through a proxy everybody could come. The bind address and
ALLOW_OPEN change nothing here.
"""

import re
from collections.abc import Collection
from functools import lru_cache

from gateway.contract.errors import BadRequest, Forbidden
from gateway.contract.origins import host_in, host_of_origin, origin_in
from gateway.web.door.proxies import TrustedProxies
from gateway.web.http.asgi import Scope

# Headers by which proxies, CDNs and load balancers say that they hand a request on, and for whom.
_FORWARDED = re.compile(
    rb"(.*-)?via|(.*-)?forwarded.*|x-forward-for|x-original-.*|x-rewrite-url|x-real-.*|cdn-loop|cf-.*|fly-.*"
    rb"|x-envoy-.*|x-azure-.*|x-appengine-.*|x-vercel-.*|x-nf-.*|x-amz-cf-.*|x-varnish|tailscale-.*"
    rb"|x-(http-)?host(-override)?|x-(url-)?scheme|x-(proto|https|nginx-proxy)|front-end-https"
    rb"|.*(client|connecting|real|remote|user|source|origin|originating|cluster)-?(ip|addr|address)"
)


MAX_REMEMBERED_BYTES = 64


def _matches(name: bytes) -> bool:
    return _FORWARDED.fullmatch(name.replace(b"_", b"-")) is not None


# Clients send the same names again and again, and the pattern takes 3 µs for each.
_remembered = lru_cache(maxsize=512)(_matches)


def _is_forwarded(name: bytes) -> bool:
    return _remembered(name) if len(name) <= MAX_REMEMBERED_BYTES else _matches(name)


def host_of(scope: Scope) -> str | None:
    """The host that the request asks for, as host_in gives it; None where HTTP/1.0 names none.

    Raises BadRequest if there is not exactly one valid Host. Source: RFC 9112, 3.2.
    """
    named = [value for name, value in scope["headers"] if name == b"host"]
    if len(named) > 1 or (not named and scope["http_version"] != "1.0"):
        raise BadRequest("A request needs exactly one Host header.")
    if not named or not named[0]:
        return None
    host = host_in(named[0].decode("latin-1"))
    if host is None:
        raise BadRequest("The Host header must be a host name or an address, with or without a port.")
    return host


class OpenMode:
    """Args:
    hosts: the hosts that may be asked for, as host_in gives them (ALLOWED_HOSTS).
    origins: further origins whose pages may ask, as origin_in gives them (CORS_ORIGINS).
    proxies: the proxies that may hand requests on (TRUSTED_PROXIES).
    """

    def __init__(self, hosts: Collection[str], origins: Collection[str], proxies: TrustedProxies) -> None:
        self._hosts = frozenset(hosts)
        self._origins = frozenset(origins)
        self._proxies = proxies

    def check(self, scope: Scope, host: str | None) -> None:
        """Raise Forbidden unless the request may come in without a key. host: see host_of."""
        if host not in self._hosts:
            asked = "no host" if host is None else host[:100]
            raise Forbidden(
                f"Without keys only the hosts in ALLOWED_HOSTS may be asked; this request asks for {asked}."
            )
        for name, value in scope["headers"]:
            if name == b"origin" and not self._lets_in(value.decode("latin-1")):
                raise Forbidden(
                    "Without keys only pages of the hosts in ALLOWED_HOSTS may ask. To let in pages of "
                    "another origin, name it in CORS_ORIGINS."
                )
            if _is_forwarded(name) and not self._proxies.trusts(scope):
                raise Forbidden(
                    f"Without keys no proxy may hand requests on, and this one has the header "
                    f"{name.decode('latin-1')}. Name the proxy's address in TRUSTED_PROXIES, or make a key: "
                    "`sluice keys create`."
                )

    def _lets_in(self, origin: str) -> bool:
        return origin_in(origin) in self._origins or host_of_origin(origin) in self._hosts
