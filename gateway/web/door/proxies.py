"""Reverse proxies: trusted peers, and the path prefix under which clients reach the gateway."""

import re
from collections.abc import Awaitable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from gateway.web.http.asgi import App, Receive, Scope, Send

_PREFIX = re.compile(rb"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*/?")
Address = IPv4Address | IPv6Address

MAX_PREFIX_BYTES = 256
"""Maximum size of a forwarded prefix: every link repeats it, and some proxies forward a client's header."""


class TrustedProxies:
    """The peers that may forward requests and set `X-Forwarded-Prefix`.

    networks: addresses (`10.0.0.7`) or networks (`10.0.0.0/8`, `fd00::/8`). Raises ValueError for others.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = [ip_network(network, strict=False) for network in networks]

    def trusts(self, scope: Scope) -> bool:
        """Return whether the request's TCP peer is a trusted proxy. A peer without an address is not."""
        return bool(self._networks) and self._knows(peer_of(scope))

    def client_of(self, scope: Scope) -> str:
        """Return the client's address for people: the TCP peer, or behind trusted proxies the last address in
        `X-Forwarded-For` that is none of theirs."""
        peer = peer_of(scope)
        if not self._networks or not self._knows(peer):
            return "unknown" if peer is None else str(peer)
        told = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        for text in reversed(told.decode("latin-1").split(",")):
            address = _address_in(text.strip())
            if address is None:
                break
            peer = address
            if not self._knows(address):
                break
        return str(peer)

    def _knows(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def peer_of(scope: Scope) -> Address | None:
    """Return the address of the request's TCP peer; None if it has none."""
    client = scope.get("client")
    return None if client is None else _address_in(client[0].partition("%")[0])


def _address_in(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def root_path_of(scope: Scope) -> str:
    """Return the prefix of all links to the gateway, without a slash at its end; may be empty."""
    prefix: str = scope.get("root_path", "")
    return prefix


class PathPrefix:
    """Puts the path prefix under which the client reaches the gateway into the scope's `root_path`.

    The prefix is the `X-Forwarded-Prefix` of a trusted proxy, else root_path (ROOT_PATH). If the scope's
    `path` begins with root_path, root_path is removed from it.
    """

    def __init__(self, app: App, root_path: str, proxies: TrustedProxies) -> None:
        self._app = app
        self._root_path = root_path
        self._proxies = proxies

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "lifespan":
            path, root = scope["path"], self._root_path
            if root and (path == root or path.startswith(f"{root}/")):
                scope["path"] = path.removeprefix(root) or "/"
            forwarded = self._forwarded_prefix(scope)
            scope["root_path"] = root if forwarded is None else forwarded
        return self._app(
            scope, receive, send
        )  # no coroutine of our own, because it would exist as long as a stream

    def _forwarded_prefix(self, scope: Scope) -> str | None:
        """Return `X-Forwarded-Prefix`, several joined; None if it is absent, invalid or not trusted."""
        parts = [
            part.strip()
            for name, value in scope["headers"]
            if name == b"x-forwarded-prefix"
            for part in value.split(b",")
        ]
        if not parts or not all(map(_PREFIX.fullmatch, parts)) or not self._proxies.trusts(scope):
            return None
        prefix = b"".join(part.removesuffix(b"/") for part in parts)
        return prefix.decode() if len(prefix) <= MAX_PREFIX_BYTES else None
