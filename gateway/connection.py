"""A client's socket as the token path needs it: written to at once, watched, and cut off when it must be.

Source: uvicorn's HTTP/1.1 protocol on httptools, which this extends. ASGI's `send` and `receive` cost a
coroutine per write and a task per client that waits for its leaving, and cannot abort a socket at all; and
nobody there minds how long a request's head becomes, or how long it takes.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.contract.errors import BadRequest, GatewayError, HeadTooLarge, TooSlow
from gateway.web.asgi import CONNECTION, ConnectionWatcher
from gateway.web.problems import raw_problem

MAX_HEAD_BYTES = 64 * 1024
"""Of a request's first line and headers."""


class ClientConnection(HttpToolsProtocol):
    """Implements gateway.web.asgi.Connection and puts itself into the scope of each request.

    A client has uvicorn's `timeout_keep_alive` for the whole head of a request, and for what it still sends
    when it was answered. How long a body may take is its reader's business.
    """

    writable = True
    _watcher: ConnectionWatcher | None = None
    _in_head = False
    _head_bytes = 0
    _refusal: GatewayError | None = None
    _deadline: asyncio.TimerHandle | None = None

    def write_chunk(self, body: bytes) -> None:
        self.transport.write(b"%x\r\n%b\r\n" % (len(body), body))

    def abort(self) -> None:
        self.transport.abort()

    def watch(self, watcher: ConnectionWatcher | None) -> None:
        self._watcher = watcher
        if watcher is not None and self.transport.is_closing():
            watcher.connection_lost()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._set_deadline()

    def data_received(self, data: bytes) -> None:
        went_on = self._in_head
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and went_on:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_head_too_large())
                return
        if self._deadline is None and (self._in_head or not self._is_answering):
            self._set_deadline()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {CONNECTION: self}

    def on_headers_complete(self) -> None:
        self._in_head = False
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            self._refusal = _head_too_large()  # which came in few reads, else it had ended sooner
            raise self._refusal
        self._lift_deadline()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls when its parser stumbles, also over what we raise in a callback."""
        self._refuse(self._refusal or BadRequest(msg))

    def connection_lost(self, exc: Exception | None) -> None:
        self._lift_deadline()
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

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _set_deadline(self) -> None:
        self._deadline = self.loop.call_later(self.timeout_keep_alive, self._miss_deadline)

    def _lift_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _miss_deadline(self) -> None:
        self._deadline = None
        if self._is_answering:
            return  # What came too early waits behind the answer, and keep-alive's own deadline behind that.
        if self._in_head:
            self._refuse(TooSlow(f"The request's head took longer than {self.timeout_keep_alive:g} s."))
        else:
            self.timeout_keep_alive_handler()

    def _refuse(self, error: GatewayError) -> None:
        """Answer what is no request, and close."""
        self.transport.write(raw_problem(error))
        self.transport.close()


def _head_too_large() -> HeadTooLarge:
    return HeadTooLarge(f"The request's head is larger than {MAX_HEAD_BYTES} bytes.")
