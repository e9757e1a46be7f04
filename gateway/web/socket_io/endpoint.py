"""The endpoint of socket.io, for long polls and WebSockets."""

from functools import partial
from urllib.parse import parse_qs

from gateway.contract.errors import BadRequest, GatewayError, MethodNotAllowed
from gateway.web.http.asgi import Receive, Scope, Send
from gateway.web.http.endpoint import read_request
from gateway.web.services import Services
from gateway.web.socket_io.posts import MAX_PACKET_BYTES
from gateway.web.socket_io.server import SocketIoServer
from gateway.web.sockets.room_services import room_services

__all__ = ["MAX_PACKET_BYTES", "SocketIo", "is_of_socket_io"]


def is_of_socket_io(scope: Scope) -> bool:
    """True if the query names a version of Engine.IO."""
    return "EIO" in _query(scope)


class SocketIo:
    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway
        self._server = SocketIoServer(gateway, room_services(gateway))
        gateway.before_stop.append(self._server.eio.close_all)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = _query(scope)
        if "j" in query:
            raise BadRequest("JSONP is not supported.")
        match scope.get("method", "GET"):
            case "GET":
                await self._server.eio.handle_request(scope, receive, send)
            case "POST":
                await self._take_post(query.get("sid", [""])[0], scope, receive, send)
            case _:
                raise MethodNotAllowed("Only GET or POST is allowed here.", ["GET", "POST"])

    async def _take_post(self, sid: str, scope: Scope, receive: Receive, send: Send) -> None:
        socket = self._server.eio.sockets.get(sid)
        if socket is None or socket.is_over or socket.upgraded or not socket.connected:
            raise BadRequest("The sid is unknown: connect again.")
        try:
            read = partial(read_request, self._gateway, scope, receive, socket.max_post_bytes)
            body = await socket.arriving.read(read)
            await socket.take_post(body.decode("utf-8", "replace"))
        except GatewayError as error:
            await socket.close(why=str(error))
            raise
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


def _query(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
