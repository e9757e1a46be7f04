"""The socket.io server: admits clients to namespaces, and gives their events to participants of rooms."""

from typing import Any

import msgspec
from socketio import AsyncManager, AsyncServer
from socketio.exceptions import ConnectionRefusedError as Refused
from socketio.packet import ACK, CONNECT, DISCONNECT, EVENT, Packet

from gateway.contract.errors import GatewayError
from gateway.dialects.json_encoding import json_bytes, with_whole_characters
from gateway.rooms.client_events import auth_of
from gateway.rooms.services import RoomServices
from gateway.web.door.callers import CALLER
from gateway.web.door.socket_callers import socket_caller, socket_place
from gateway.web.http.refusal_log import log_refusal
from gateway.web.services import Services
from gateway.web.socket_io.engine import SILENT, RoomEngine
from gateway.web.socket_io.engine_socket import EngineSocket
from gateway.web.socket_io.posts import BadPacket
from gateway.web.socket_io.room_client import NAMESPACES, RoomClient
from gateway.web.socket_io.strangers import Strangers


class _Json:
    """JSON for python-socketio. Lone surrogates become U+FFFD."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return json_bytes(value).decode()

    @staticmethod
    def loads(text: str) -> Any:
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return msgspec.json.decode(with_whole_characters(text.encode(errors="surrogatepass")))


class RoomPacket(Packet):  # type: ignore[misc]  # the library has no types
    json = _Json


class Namespaces(AsyncManager):  # type: ignore[misc]
    """The clients in each namespace. The library also makes a room of each client, and walks through all of
    them when one leaves."""

    def basic_enter_room(
        self, sid: str, namespace: str, room: str | None, eio_sid: str | None = None
    ) -> None:
        if room is None:
            super().basic_enter_room(sid, namespace, room, eio_sid=eio_sid)


class SocketIoServer(AsyncServer):  # type: ignore[misc]
    """The events of one client are handled one after the other."""

    eio: RoomEngine
    environ: dict[str, EngineSocket]

    def __init__(self, gateway: Services, rooms: RoomServices) -> None:
        super().__init__(
            client_manager=Namespaces(),
            serializer=RoomPacket,
            namespaces=list(NAMESPACES),
            async_handlers=False,
            logger=SILENT,
        )
        self.eio.slow_readers = gateway.slow_readers
        self.eio.strangers = Strangers(self.eio.close_stranger, gateway.proxies.client_of)
        self._gateway = gateway
        self._rooms = rooms
        self._clients: dict[str, RoomClient] = {}

    def _engineio_server_class(self) -> type[RoomEngine]:
        return RoomEngine

    async def _handle_eio_message(self, eio_sid: str, data: str) -> None:
        try:
            packet = self.packet_class(encoded_packet=data or "-")
        except (ValueError, msgspec.MsgspecError, RecursionError):
            raise BadPacket("That is no packet of socket.io 5.") from None
        namespace = packet.namespace or "/"
        if packet.packet_type == CONNECT:
            await self._handle_connect(eio_sid, namespace, packet.data)
        elif packet.packet_type == DISCONNECT:
            await self._handle_disconnect(eio_sid, namespace)
        elif packet.packet_type == EVENT:
            client = self._clients.get(self.manager.sid_from_eio_sid(eio_sid, namespace))
            name, *values = packet.data if isinstance(packet.data, list) and packet.data else [None]
            if not isinstance(name, str):
                raise BadPacket("An event must be a list that begins with its name.")
            if client is not None:
                await client.take(name, values[0] if values else None, packet.id)
        elif packet.packet_type != ACK:
            raise BadPacket("Binary events are not supported.")

    async def _trigger_event(self, event: str, namespace: str, sid: str, *args: Any) -> None:
        """Called by the library when a client connects to a namespace or leaves it."""
        if event == "connect":
            socket, said = args
            await self._begin(socket, namespace, sid, said)
        elif event == "disconnect":
            self._end(sid)

    async def _begin(self, socket: EngineSocket, namespace: str, sid: str, said: Any) -> None:
        try:
            client = await self._admit(socket, namespace, said)
        except GatewayError as error:
            log_refusal(socket.scope, error)
            raise Refused(str(error), {"code": error.code}) from None
        if socket.is_over:
            client.leave()
            raise Refused("The connection is closed.")
        self._clients[sid] = client
        self._gateway.room_connections.add(client)
        socket.admitted()

    def _end(self, sid: str) -> None:
        client = self._clients.pop(sid, None)
        if client is None:
            return
        self._gateway.room_connections.discard(client)
        client.leave()
        others = any(each.socket is client.socket for each in self._clients_of(client.socket))
        if not (others or client.socket.is_over):
            client.socket.wait_for_admission()

    def _clients_of(self, socket: EngineSocket) -> list[RoomClient]:
        sids = [self.manager.sid_from_eio_sid(socket.sid, namespace) for namespace in NAMESPACES]
        return [self._clients[sid] for sid in sids if sid in self._clients]

    async def _admit(self, socket: EngineSocket, namespace: str, said: Any) -> RoomClient:
        auth = auth_of(said)
        label = auth.label
        gateway, scope = self._gateway, socket.scope
        caller = await socket_caller(gateway, scope, auth.api_key, auth.ticket)
        place = await socket_place(gateway, caller)
        return RoomClient(
            self._rooms,
            socket,
            namespace,
            caller,
            self.eio.close_soon,
            place=place,
            label=label,
            on_refused=lambda error: log_refusal({**scope, CALLER: caller}, error),
        )
