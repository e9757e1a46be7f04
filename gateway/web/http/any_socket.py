"""WebSockets of an ASGI server other than ours: `send` in a task, in place of writes to the socket."""

import asyncio
from collections import deque
from collections.abc import Sequence

from gateway.web.http.asgi import App, ConnectionWatcher, Message, Receive, Scope, Send
from gateway.web.http.message_connection import SOCKET
from gateway.web.http.slow_readers import SlowReaders


class _Gone(Exception):
    """The client reads nothing, or has left."""


async def call_with_socket(
    app: App, scope: Scope, receive: Receive, send: Send, slow_readers: SlowReaders
) -> None:
    """Call the application with a SendSocket in the scope. Cancel it when the client is gone."""
    socket = SendSocket(send, slow_readers)
    scope = {**scope, "extensions": {**(scope.get("extensions") or {}), SOCKET: socket}}
    try:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(socket.run())
            try:
                await app(scope, receive, socket.send)
            finally:
                sending.cancel()
    except* _Gone:
        pass


class SendSocket:
    """Implements gateway.web.http.message_connection.MessageConnection with ASGI's `send`.

    `writable` is False while messages wait, so that new events stay in the journal.
    """

    def __init__(self, send: Send, slow_readers: SlowReaders) -> None:
        self._send = send
        self._slow_readers = slow_readers
        self._waiting: deque[bytes] = deque()
        self._aborted = False
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._watcher: ConnectionWatcher | None = None

    @property
    def writable(self) -> bool:
        return self._idle.is_set()

    def write_messages(self, messages: Sequence[bytes]) -> None:
        self._waiting.extend(messages)
        self._idle.clear()
        self._news.set()

    @property
    def waiting_bytes(self) -> int:
        return sum(map(len, self._waiting))

    def abort(self) -> None:
        self._aborted = True
        self._news.set()

    def watch(self, watcher: ConnectionWatcher | None) -> None:
        self._watcher = watcher

    def accept_messages_of(self, max_bytes: int) -> None:
        pass

    def admit(self) -> None:
        pass

    async def send(self, message: Message) -> None:
        """ASGI's `send` for the application, after all messages that wait."""
        await self._idle.wait()
        await self._send(message)

    async def run(self) -> None:
        """Send the messages until cancelled. Raises _Gone."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                await self._put(self._waiting.popleft())
            if self._aborted:
                raise _Gone
            self._idle.set()
            if self._watcher is not None:
                self._watcher.connection_writable()

    async def _put(self, body: bytes) -> None:
        if self._aborted:
            raise _Gone
        try:
            async with asyncio.timeout(self._slow_readers.timeout_s):
                await self._send({"type": "websocket.send", "text": body.decode()})
        except TimeoutError as error:
            self._slow_readers.cut += 1
            raise _Gone from error
        except OSError as error:
            raise _Gone from error
