"""Runs the gateway process: listens, assembles the gateway and serves until a signal."""

import gc
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import uvicorn

from gateway.assembly import Assembled, assemble
from gateway.contract.open_files import descriptor_limit, raise_descriptor_limit
from gateway.process.door_check import check_door
from gateway.process.draining_server import GatewayServer
from gateway.process.listeners import BACKLOG, for_crowds, listen, listen_for_gateways, url_of
from gateway.settings import Settings
from gateway.web.http import websockets_internals
from gateway.web.http.connection_limits import Arrivals
from gateway.web.http.first_messages import FirstMessages
from gateway.web.http.malformed_requests import MalformedRequests
from gateway.web.http.uvicorn_internals import missing_names, missing_socket_names

log = logging.getLogger("sluice.server")

_malformed_requests = MalformedRequests()

FIRST_MESSAGE_BYTES = 1024 * 1024
"""Maximum size of a WebSocket's message before its client has shown who it is."""

GRACEFUL_S = 3
"""Maximum seconds for requests to end after the server has drained."""

KEEP_ALIVE_S = 30
"""Maximum seconds between two requests of a connection, and for the head of a request."""


__all__ = ["Assembled", "listen", "serve", "server_of", "url_of"]

WhenListening = Callable[[Assembled], Awaitable[None]]


async def serve(settings: Settings, listener: socket.socket, when_listening: WhenListening) -> None:
    """Serve on `listener` until a signal. `when_listening` is awaited concurrently once requests are
    accepted.

    Raises SettingsError before it accepts requests if other machines can connect without API keys, or if
    INTERNAL_URL cannot be used, and CannotStart if the database is away that has the keys.
    """
    raise_descriptor_limit()
    await check_door(settings)
    for_gateways, url = listen_for_gateways(settings, listener)
    settings = settings.model_copy(update={"internal_url": url})

    async def listening(assembled: Assembled) -> None:
        _exclude_from_collections()  # what the start made since, a sixth of all
        await when_listening(assembled)

    server = server_of(assemble(settings), listening)
    _exclude_from_collections()  # now, since it takes 0.1 s, for which nobody waits yet
    listeners = for_crowds(listener)
    await server.serve(listeners if for_gateways is None else [*listeners, for_gateways])


def _exclude_from_collections() -> None:
    """Exclude all objects that exist now from garbage collection: they live as long as the process.

    Else the first crowd of clients would wait while the collection that its own objects cause looks at them.
    """
    gc.collect()
    gc.freeze()


def server_of(assembled: Assembled, when_listening: WhenListening) -> GatewayServer:
    """Return the server for an assembled gateway."""
    logging.getLogger("uvicorn.error").addFilter(_malformed_requests)  # adding it again has no effect
    config = uvicorn.Config(
        assembled.app,
        http=_connections_of(assembled),
        ws=_sockets_of(assembled),
        ws_max_size=FIRST_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=[("x-content-type-options", "nosniff")],
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACEFUL_S,
    )
    return GatewayServer(config, assembled.drain, lambda: when_listening(assembled))


def _connections_of(assembled: Assembled) -> Any:
    """Return uvicorn's `http` setting: ClientConnection, or "auto" if uvicorn lacks a name that it needs."""
    if missing := missing_names():
        names = ", ".join(missing)
        log.warning("this uvicorn does not have %s: streams are slower, slow clients stay longer", names)
        return "auto"
    from gateway.web.http.connection import ClientConnection  # its import needs all of these names

    arrivals = Arrivals(descriptor_limit(), time.monotonic)
    gateway = assembled.gateway
    return partial(
        ClientConnection, slow_readers=gateway.slow_readers, arrivals=arrivals, refusals=gateway.refusals
    )


def _sockets_of(assembled: Assembled) -> Any:
    """Return uvicorn's `ws` setting: SocketConnection, or "auto" if a library lacks a name that it needs."""
    if missing := [*missing_socket_names(), *websockets_internals.missing_names()]:
        names = ", ".join(missing)
        log.warning(
            "the installed libraries do not have %s: WebSockets are slower, slow clients stay longer", names
        )
        return "auto"
    from gateway.web.http.socket_connection import SocketConnection  # its import needs all of these names

    return partial(
        SocketConnection, slow_readers=assembled.gateway.slow_readers, first_messages=FirstMessages()
    )
