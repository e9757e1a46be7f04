"""Checks lists of hosts, origins and networks in settings. Each raises ValueError for a wrong one."""

from ipaddress import ip_network

from gateway.contract.origins import host_in, origin_in


def hosts_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hosts, normalized as in host_in."""
    # A port is appended, so that a name that contains one itself is refused.
    hosts = [
        host_in((f"[{name}]" if name.count(":") > 1 > name.count("[") else name) + ":80") for name in names
    ]
    if not hosts or None in hosts:
        raise ValueError(
            "it must be host names or addresses without a port, such as chat.example or [::1], separated "
            "by commas, without wildcards"
        )
    return tuple(filter(None, hosts))


def origins_of(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the origins, normalized as in origin_in; `*` stays."""
    origins = ["*" if text == "*" else origin_in(text) for text in texts]
    if None in origins:
        raise ValueError(
            "it must be origins such as https://chat.example or http://localhost:3000, separated by "
            "commas, or * for all"
        )
    return tuple(filter(None, origins))


def networks_of(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the addresses and networks as they are."""
    for network in texts:
        try:
            ip_network(network, strict=False)
        except ValueError:
            raise ValueError(
                "it must be addresses or networks such as 10.0.0.7 or 10.0.0.0/8, separated by commas"
            ) from None
    return texts
