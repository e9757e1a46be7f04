"""A client's socket as the token path needs it: written to at once, watched, and cut off when it must be.

Source: uvicorn's HTTP/1.1 protocol on httptools, which this extends. ASGI's `send` and `receive` cost a
coroutine per write and a task per client that waits for its leaving, and cannot abort a socket at all.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.web.asgi import CONNECTION, ConnectionWatcher


class ClientConnection(HttpToolsProtocol):
    """Implements gateway.web.asgi.Connection and puts itself into the scope of each request."""

    writable = True
    _watcher: ConnectionWatcher | None = None

    def write_chunk(self, body: bytes) -> None:
        self.transport.write(b"%x\r\n%b\r\n" % (len(body), body))

    def abort(self) -> None:
        self.transport.abort()

    def watch(self, watcher: ConnectionWatcher | None) -> None:
        self._watcher = watcher
        if watcher is not None and self.transport.is_closing():
            watcher.connection_lost()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {CONNECTION: self}

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._watcher is not None:
            self._watcher.connection_lost()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            # The client has not taken its answer in all this time: a plain close would wait for it for ever.
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.writable = False

    def resume_writing(self) -> None:
        super().resume_writing()
        self.writable = True
        if self._watcher is not None:
            self._watcher.connection_writable()
