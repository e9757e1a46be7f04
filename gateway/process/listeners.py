"""The sockets on which a gateway listens: HOST and PORT for clients, INTERNAL_URL for other gateways."""

import errno
import socket
from urllib.parse import urlsplit

from gateway.contract.host_ports import address_of
from gateway.settings import Settings, SettingsError

BACKLOG = 4096
ACCEPTS = 16
"""Connections that are accepted in one turn of the event loop: libuv accepts one for each descriptor. In a
crowd a turn takes milliseconds, and the last clients waited 0.2 s before their requests were read."""

EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})


def listen(settings: Settings) -> socket.socket:
    """Return the listening socket for clients. A process with a number shares its address with others.

    Raises SettingsError if the address cannot be used.
    """
    # Two processes may bind one port, but only one may listen. Clients wait until it is served.
    named = f"HOST={settings.host} PORT={settings.port}"
    shared = settings.process_number > 0
    return _bound(settings.host, settings.port, named, backlog=BACKLOG, shared=shared)


def reserve(settings: Settings) -> socket.socket:
    """Return a socket that does not listen, but keeps the address for sockets of this user that share it.

    Raises SettingsError if the address cannot be used.
    """
    reserved = _bound(settings.host, settings.port, f"HOST={settings.host} PORT={settings.port}")
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return reserved


def for_crowds(listener: socket.socket) -> list[socket.socket]:
    """Return ACCEPTS descriptors of the listening socket, the first of which is `listener` itself."""
    return [listener, *(listener.dup() for _ in range(ACCEPTS - 1))]


def listen_for_gateways(settings: Settings, listener: socket.socket) -> tuple[socket.socket | None, str]:
    """Return the listening socket for other gateways, None if `listener` serves them too, and its URL.

    Without INTERNAL_URL it is a free port of 127.0.0.1, which gateways on this machine reach. With SQLite
    there is none, and no URL. Raises SettingsError if the address cannot be used.
    """
    if settings.database_url.startswith("sqlite"):
        return None, ""
    url = settings.internal_url
    if not url:
        free = _bound("127.0.0.1", 0, "a free port of 127.0.0.1", backlog=BACKLOG)
        return free, url_of(free)
    host, port = host_and_port_of(url)
    if clients_port_serves(settings, listener.getsockname()[1]):
        return None, url
    return _bound(host, port, f"INTERNAL_URL={url}", backlog=BACKLOG), url


def clients_port_serves(settings: Settings, port: int) -> bool:
    """Return True if the process listens at INTERNAL_URL already, as HOST and `port`, and is alone there."""
    host, internal_port = host_and_port_of(settings.internal_url)
    is_alone = settings.process_number == 0 and settings.workers == 1
    return is_alone and port == internal_port and settings.host in {*EVERY_ADDRESS, host}


def host_and_port_of(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{address_of(host, port)}"


def _bound(host: str, port: int, named: str, *, backlog: int = 0, shared: bool = False) -> socket.socket:
    """Return a socket with this address. Raises SettingsError if it cannot be used.

    Args:
        host: a name or an address.
        port: 0 for a free one.
        named: the settings with the address, for the error.
        backlog: of a listening socket; 0: it does not listen.
        shared: True if other sockets, all with this argument, listen on the address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # IPPROTO_TCP is explicit: without it asyncio does not set TCP_NODELAY, which costs 40 ms per response.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        if backlog:
            listener.listen(backlog)
    except OSError as error:
        listener.close()
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            wrong = f"{named.partition(' PORT=')[0]} is not an address of this machine"
        else:
            wrong = f"{named} cannot be used"
        raise SettingsError(f"{wrong}: {error.strerror}; choose another") from error
    listener.setblocking(False)
    return listener
