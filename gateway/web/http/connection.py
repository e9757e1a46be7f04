"""A client's connection: writes without awaiting, reports a lost client, and limits request heads.

It extends uvicorn's HTTP/1.1 protocol on httptools, which does not limit heads. ASGI's `send` and `receive`
cost a coroutine per write and a task per client to notice a disconnect, and cannot abort a socket.
"""

import asyncio
from typing import Any, NoReturn
from weakref import proxy

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from gateway.contract.errors import BadRequest, GatewayError, TooSlow
from gateway.contract.light_event import LightEvent
from gateway.web.http.absolute_targets import path_of
from gateway.web.http.asgi import CONNECTION, ConnectionWatcher
from gateway.web.http.connection_limits import MAX_PIPELINED, Arrivals
from gateway.web.http.head_limit import HEADER_FRAMING_BYTES, MAX_HEAD_BYTES, MAX_HEADERS, head_too_large
from gateway.web.http.http_1_0 import end_with_connection
from gateway.web.http.lingering_close import MAX_DROPPED_BYTES, MAX_DROPPED_HEAD_BYTES, LingeringClose
from gateway.web.http.parsing_turns import MAX_PARTS, PIECE_BYTES, ParsingTurns
from gateway.web.http.pipelined_requests import PipelinedRequests
from gateway.web.http.problems import raw_problem
from gateway.web.http.refusal_log import RefusalLog
from gateway.web.http.request_parser import RequestParser
from gateway.web.http.slow_readers import SendDeadline, SlowReaders
from gateway.web.http.transfer_codings import unknown_coding


class ClientConnection(ParsingTurns, HttpToolsProtocol):
    """Implements gateway.web.http.asgi.Connection and puts itself into the scope of each request.

    uvicorn's `timeout_keep_alive` limits a head, and the rest of a request answered early; read_body a body.

    Args:
        slow_readers: the limit for clients that read nothing of their responses.
        arrivals: limits the number of connections; None sets no limit.
        refusals: logs requests that are refused before they have an endpoint.
    """

    __slots__ = (  # save about 1.5 KiB per connection
        *("_arrivals", "_bytes_without_progress", "_deadline", "_deaf", "_head_bytes", "_in_head"),
        *("_lingering", "_progressed", "_refusal", "_refusals", "_running", "_send_deadline"),
        *("_slow_readers", "_watcher", "transport", "writable"),
    )

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        slow_readers: SlowReaders | None = None,
        arrivals: Arrivals | None = None,
        refusals: RefusalLog | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.parser: RequestParser = RequestParser(self)  # type: ignore[assignment]  # None when it is closed
        self._slow_readers = slow_readers or SlowReaders(20)
        self._arrivals, self._refusals = arrivals, refusals
        self.writable = True
        self._watcher: ConnectionWatcher | None = None
        self._in_head = self._progressed = self._deaf = False
        self._head_bytes = self._bytes_without_progress = 0
        self._running: RequestResponseCycle | None = None
        self._refusal: GatewayError | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._lingering: LingeringClose | None = None
        self.pipeline = PipelinedRequests()  # type: ignore[assignment]  # takes less memory

    def write_chunk(self, body: bytes) -> None:
        self.transport.write(b"%x\r\n%b\r\n" % (len(body), body))

    def abort(self) -> None:
        self.transport.abort()
        self._note_lost()

    def watch(self, watcher: ConnectionWatcher | None) -> None:
        self._watcher = watcher
        if watcher is not None and self.transport.is_closing():
            self._note_lost()
            watcher.connection_lost()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self.flow._transport = proxy(self)  # which it pauses and resumes
        self.flow._is_writable_event = LightEvent(is_set=True)  # type: ignore[assignment]
        self._send_deadline = SendDeadline(transport, self.loop, self._slow_readers)
        if self._arrivals is None or self._arrivals.admits(self, transport, self.client):
            self._deadline = self.loop.call_later(self.timeout_keep_alive, self._miss_deadline)

    def parse(self, data: bytes) -> None:
        if self._deaf or self.transport.is_closing():
            if self._lingering is not None:
                self._lingering.drop(data)
            return
        self._progressed = False
        super().parse(data)
        if self._deaf or self.transport.is_closing():
            return
        # The parser reports only whole lines, and buffers a line that arrives in many reads: count the reads.
        self._bytes_without_progress = 0 if self._progressed else self._bytes_without_progress + len(data)
        if self._bytes_without_progress > MAX_HEAD_BYTES:
            self._refuse(head_too_large())
        elif self._deadline is None and (self._in_head or not self._is_answering):
            self._deadline = self.loop.call_later(self.timeout_keep_alive, self._miss_deadline)

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            self._deaf = True
            self.cycle.keep_alive = False
            raise BadRequest(f"More than {MAX_PIPELINED} requests wait for their answers.")
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self.scope["extensions"] = {CONNECTION: self}  # type: ignore[dict-item]

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value) + HEADER_FRAMING_BYTES)
        if self._in_head:  # else it is a trailer, which no endpoint uses
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        upgrades = self.parser.should_upgrade()
        if upgrades and self.parser.get_method() == b"CONNECT":
            self._fail(BadRequest("CONNECT is not supported: this server is not a proxy."))
        if (unknown := unknown_coding(self.headers)) is not None:
            self._fail(unknown)
        if not self.url.startswith(b"/"):
            wrong = BadRequest("The request's target must be a path or an http URL.")
            self.url = path_of(self.url, self.headers) or self._fail(wrong)
        if upgrades:
            if self._is_answering or not (self.parser.is_handshake(self.headers) and self._should_upgrade()):
                self.parser.begin_again(self.url, self.headers)
                return
            self._deaf = True  # from now on, a SocketConnection reads
        self._in_head, self._progressed = False, True
        self._lift_deadline()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._progressed = True
        self.parts += len(body) < PIECE_BYTES
        super().on_body(body)
        if self.parts >= 4 * MAX_PARTS and not self._is_answering:
            self._linger(MAX_DROPPED_BYTES)  # a request that was refused is not worth parsing its rest

    def on_message_complete(self) -> None:
        if self.parser.begins_again:
            return
        self._progressed = True
        self._leave_arrivals()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse the request. uvicorn calls this for parser errors, also for errors raised in a callback."""
        if not self._deaf:
            self._refuse(self._refusal or BadRequest(msg))

    def connection_lost(self, exc: Exception | None) -> None:
        self._lift_deadline()
        if self._lingering is not None:
            self._lingering.cancel()
        self._leave_arrivals()
        self._send_deadline.end()
        super().connection_lost(exc)
        self._free()
        if self._watcher is not None:
            self._watcher.connection_lost()

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        self._free()

    def _free(self) -> None:
        # Else they refer to each other, and cycles are collected seldom.
        self.parser = self.cycle = self.scope = self._running = self._lingering = None  # type: ignore[assignment]

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # the client has not read its response: `close` would wait for that
        else:
            super().timeout_keep_alive_handler()

    def write(self, body: bytes) -> None:
        """Write for uvicorn, for which this object is the transport."""
        self.transport.write(body)

    def close(self) -> None:
        """Close the connection for uvicorn, behind a response."""
        if self._deaf or (self._running is not None and self._running.more_body):
            self._linger(MAX_DROPPED_BYTES)
        else:
            self.transport.close()

    def is_closing(self) -> bool:
        return self._lingering is not None or self.transport.is_closing()

    def on_response_complete(self) -> None:
        if self._running is not None:
            self._running.body = bytearray()  # nobody will read it, and the connection may stay
        if self._lingering is None:
            super().on_response_complete()
        if self.is_closing():
            self._send_deadline.begin()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.writable = False
        self._send_deadline.begin()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.writable = True
        if not self.transport.is_closing():
            self._send_deadline.end()
        if self._watcher is not None:
            self._watcher.connection_writable()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _note_lost(self) -> None:
        if self._running is not None:  # its endpoint may end before `connection_lost` is called
            self._running.disconnected = True

    def _lift_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _miss_deadline(self) -> None:
        self._deadline = None
        if self._deaf or self._is_answering:
            return  # Pipelined data waits for the response; uvicorn's keep-alive timer starts after it.
        if self._in_head:
            self._refuse(TooSlow(f"The request's head took longer than {self.timeout_keep_alive:g} s."))
        else:
            self.timeout_keep_alive_handler()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        if not cycle.message_event.is_set():
            cycle.message_event = LightEvent()  # type: ignore[assignment]  # takes less memory
        cycle.transport = self  # type: ignore[assignment]  # uvicorn would close while the client sends
        if cycle.scope["http_version"] == "1.0":
            end_with_connection(cycle)
            self.write_chunk = self.write  # type: ignore[method-assign]
        super()._start_asgi_task(cycle, app)

    def _leave_arrivals(self) -> None:
        if self._arrivals is not None and self.client is not None:
            self._arrivals.forget(self, self.client[0])
            self._arrivals = None

    def _count_head(self, more_bytes: int) -> None:
        self._head_bytes += more_bytes
        if self._head_bytes > MAX_HEAD_BYTES or len(self.headers) >= MAX_HEADERS:
            self._fail(head_too_large())

    def _fail(self, error: GatewayError) -> NoReturn:
        """End the parsing from a callback. The parser replaces what it raises; the response has `error`."""
        self._refusal = error
        raise ValueError  # not `error`: its traceback would refer to this object, a cycle

    def _refuse(self, error: GatewayError) -> None:
        """Answer with the error, close the connection and parse no more of it.

        While a response is being sent, complete it instead, and drop the error and all waiting requests.
        """
        self._deaf = True
        if self._refusals is not None:
            self._refusals.add_unread(error)
        running = self._running
        if running is None or running.response_complete:
            if self._in_head or running is None:
                self.transport.write(raw_problem(error))
            self._linger(MAX_DROPPED_HEAD_BYTES)
        elif self.cycle is running and not self._in_head and not running.response_started:
            self.transport.write(raw_problem(error))
            self.transport.close()
        else:
            running.keep_alive = False
            self.pipeline.clear()
            self.cycle = running
            self.flow.pause_reading()

    def _linger(self, max_bytes: int) -> None:
        if not self.is_closing():
            self._deaf = True
            close = self.timeout_keep_alive_handler
            self._lingering = LingeringClose(self.transport, self.loop, max_bytes, close)
            self.flow.resume_reading()
