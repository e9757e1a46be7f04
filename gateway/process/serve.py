"""One gateway process from its settings to its last log line."""

import errno
import gc
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import uvicorn

from gateway.assembly import Assembled, assemble, check_door
from gateway.contract.open_files import descriptor_limit, raise_descriptor_limit
from gateway.process.server import GatewayServer
from gateway.settings import Settings, SettingsError
from gateway.web.http.connection_limits import Arrivals
from gateway.web.http.malformed_requests import MalformedRequests
from gateway.web.http.uvicorn_internals import missing_names

log = logging.getLogger("sluice.server")

_malformed_requests = MalformedRequests()

BACKLOG = 4096
KEEP_ALIVE_S = 30
"""How long a client may ask nothing, and how long the head of a request may take."""


def listen(settings: Settings) -> socket.socket:
    """The listening socket; SettingsError if the address cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named, because asyncio turns Nagle's delay off only where it sees that this is TCP: 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            wrong = f"HOST={settings.host} is no address of this machine"
        else:
            wrong = f"HOST={settings.host} PORT={settings.port} cannot be used"
        raise SettingsError(f"{wrong}: {error.strerror}; choose another") from error
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


WhenListening = Callable[[Assembled], Awaitable[None]]


async def serve(settings: Settings, listener: socket.socket, when_listening: WhenListening) -> None:
    """Serve on `listener` until a signal ends it; `when_listening` runs beside once requests are taken.

    SettingsError, before anybody is let in, if HOST lets in more than may come.
    """
    raise_descriptor_limit()
    await check_door(settings)
    server = server_of(assemble(settings), when_listening)
    # Objects made at the start live as long as the process: the collector need not look at them again.
    gc.collect()
    gc.freeze()
    await server.serve([listener])


def server_of(assembled: Assembled, when_listening: WhenListening) -> GatewayServer:
    """The server for an assembled gateway."""
    logging.getLogger("uvicorn.error").addFilter(_malformed_requests)  # the same filter is added once
    config = uvicorn.Config(
        assembled.app,
        http=_connections_of(assembled),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=[("x-content-type-options", "nosniff")],  # browsers must not guess what an answer is
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=5,
    )
    return GatewayServer(config, assembled.drain, lambda: when_listening(assembled))


def _connections_of(assembled: Assembled) -> Any:
    """uvicorn's `http` setting: our own connections, or uvicorn's if it has changed (see any_server)."""
    if missing := missing_names():
        names = ", ".join(missing)
        log.warning("streams are slower, slow clients stay longer: this uvicorn does not have %s", names)
        return "auto"
    from gateway.web.http.connection import ClientConnection  # it needs every one of those names

    arrivals = Arrivals(descriptor_limit(), time.monotonic)
    return partial(ClientConnection, send_timeout_s=assembled.send_timeout_s, arrivals=arrivals)
