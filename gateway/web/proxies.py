"""Reverse proxies: which peers are trusted, and under which path prefix clients reach us."""

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network

from gateway.web.asgi import Scope


class TrustedProxies:
    """The peers whose forwarded headers are believed.

    networks: addresses (`10.0.0.7`) or networks (`10.0.0.0/8`, `fd00::/8`); ValueError if one is neither.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = [ip_network(network, strict=False) for network in networks]

    def trusts(self, scope: Scope) -> bool:
        """Return whether the request's TCP peer is a trusted proxy. A peer without an address is not."""
        client = scope.get("client")
        if not self._networks or client is None:
            return False
        try:
            address = ip_address(client[0].partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)
