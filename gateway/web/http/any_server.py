"""Connections for requests received by an ASGI server other than ours. They are slower than ours.

ASGI cannot write without awaiting, report a slow client, or abort a connection. Source: ASGI 3.0, HTTP.
"""

import asyncio
from collections.abc import Awaitable

from gateway.web.http.any_socket import call_with_socket
from gateway.web.http.asgi import CONNECTION, App, ConnectionWatcher, Message, Receive, Scope, Send
from gateway.web.http.message_connection import SOCKET
from gateway.web.http.slow_readers import SlowReaders


class AnyServer:
    """Puts a SendConnection into the scope of each request that has no Connection, and a SendSocket into that
    of each WebSocket.

    slow_readers: after this time without progress, the response is aborted; when the socket closes is up to
    the server.
    """

    def __init__(self, app: App, slow_readers: SlowReaders) -> None:
        self._app = app
        self._slow_readers = slow_readers

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        extensions = scope.get("extensions") or {}
        if scope["type"] == "websocket" and SOCKET not in extensions:
            return call_with_socket(self._app, scope, receive, send, self._slow_readers)
        if scope["type"] != "http" or CONNECTION in extensions:
            return self._app(scope, receive, send)
        return self._call_with_connection({**scope, "extensions": extensions}, receive, send)

    async def _call_with_connection(self, scope: Scope, receive: Receive, send: Send) -> None:
        error: Exception | None = None
        async with asyncio.TaskGroup() as tasks:
            connection = SendConnection(receive, send, tasks, self._slow_readers)
            scope["extensions"] = {**scope["extensions"], CONNECTION: connection}
            try:
                await self._app(scope, receive, connection.send)
            except Exception as raised:  # noqa: BLE001 - the server gets it as it is, not in a group
                error = raised
            finally:
                connection.close()
        if error is not None:
            raise error


class SendConnection:
    """Implements gateway.web.http.asgi.Connection with ASGI's `send` and `receive`, for one request.

    One `send` runs at a time. Until it returns, `writable` is False, so that new events stay in the journal
    and are not buffered here as well.
    """

    def __init__(
        self, receive: Receive, send: Send, tasks: asyncio.TaskGroup, slow_readers: SlowReaders
    ) -> None:
        self._receive = receive
        self._send = send
        self._tasks = tasks
        self._slow_readers = slow_readers
        self._watcher: ConnectionWatcher | None = None
        self._chunks: list[bytes] = []
        self._sending: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._lost = False
        self._ended = False

    @property
    def writable(self) -> bool:
        return self._sending is None and not (self._turn.locked() or self._lost or self._ended)

    def write_chunk(self, body: bytes) -> None:
        if self._lost or self._ended:
            return
        self._chunks.append(body)
        if self._sending is None:
            self._sending = self._tasks.create_task(self._send_chunks())

    def abort(self) -> None:
        """Send no more of the response, and drop the chunks that wait."""
        self._lost = True
        self._chunks.clear()
        if self._watcher is not None:
            self._watcher.connection_lost()

    def watch(self, watcher: ConnectionWatcher | None) -> None:
        self._watcher = watcher
        if watcher is None:
            return
        if self._lost:
            watcher.connection_lost()
        elif self._listening is None:
            self._listening = self._tasks.create_task(self._listen())

    async def send(self, message: Message) -> None:
        """ASGI's `send` for the application. Waits until all chunks from `write_chunk` are sent."""
        while self._sending is not None:
            await asyncio.wait({self._sending})
        self._ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._put(message)

    def close(self) -> None:
        """Release the watcher and stop listening. Call when the application has returned."""
        self._watcher = None
        if self._listening is not None:
            self._listening.cancel()

    async def _send_chunks(self) -> None:
        try:
            while self._chunks:
                body = b"".join(self._chunks)
                self._chunks.clear()
                await self._put({"type": "http.response.body", "body": body, "more_body": True})
        finally:
            self._sending = None
        if self._watcher is not None and not self._lost:
            self._watcher.connection_writable()

    async def _put(self, message: Message) -> None:
        try:
            async with self._turn, asyncio.timeout(self._slow_readers.timeout_s):
                if not self._lost:
                    await self._send(message)
        except TimeoutError:
            self._slow_readers.cut += 1
            self.abort()
        except OSError:  # the client has left: ASGI 3.0, "Disconnects"
            self.abort()

    async def _listen(self) -> None:
        """Wait until the client disconnects, then abort. The request's body must have been read before."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.abort()
