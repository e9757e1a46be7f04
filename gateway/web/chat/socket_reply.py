"""One reply of an AI SDK chat on a WebSocket, as numbered chunks.

It is written from within the call that appends to the reply's journal, as a stream is; see reply_stream.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from gateway.contract.errors import NotFound
from gateway.contract.events import Cancelled, Delta, Failed, Finished, ReaderEvent
from gateway.contract.journal import START, FellBehind, JournalReader
from gateway.core.replays import replay
from gateway.core.run import USER_STOP, Run
from gateway.dialects.ai_sdk import AiSdk, chunk_in
from gateway.dialects.json_encoding import json_bytes
from gateway.web.chat.earlier_events import dropped
from gateway.web.http.message_connection import MessageConnection
from gateway.web.relay.elsewhere import check_ended
from gateway.web.services import Services

log = logging.getLogger("sluice.web")

_MAX_MERGED_CHARS = 4 * 1024
_TERMINAL = (Finished, Cancelled, Failed)


class SocketReply:
    """Sends `start`, each chunk, and `end` or `error`.

    Args:
        request_id: of the client's request; every message has it.

    Attributes:
        held: closed when nothing more is sent.
    """

    def __init__(
        self,
        gateway: Services,
        connection: MessageConnection,
        request_id: str,
        dialect: AiSdk,
    ) -> None:
        self._gateway = gateway
        self._connection = connection
        self._dialect = dialect
        self._named = b'"requestId":' + json_bytes(request_id)
        self._sequence = 0
        self._reader: JournalReader | None = None
        self._run: Run | None = None
        self.held = ExitStack()

    async def follow(self, stream_id: str, user_id: str) -> None:
        """Send the reply from its first chunk on.

        Raises NotFound, and RunsElsewhere if another gateway makes it.
        """
        gateway = self._gateway
        self._encoder = self._dialect.encoder(stream_id)
        messages = [b'{"type":"start",%b}' % self._named]
        try:
            run = self._run = gateway.runs.find(stream_id, user_id)
            reader = self.held.enter_context(gateway.runs.reading(run, self.hear))
        except NotFound:
            message = await gateway.store.reply(user_id, stream_id)
            await check_ended(gateway, message)
            exchange = await gateway.store.exchange(user_id, stream_id)
            stored = [event for event, _ in replay(message, exchange, START)]
            self._write([*messages, *self._chunks(stored)], stored)
            return
        before = [event for event, _ in await dropped(gateway, run, self._dialect, START, reader.begins_at)]
        self._connection.write_messages([*messages, *self._chunks(before)])
        self._reader = reader
        self.hear()

    def stop(self) -> None:
        """Stop the reply for its user."""
        if self._run is not None:
            self._run.settle(USER_STOP)

    def leave(self) -> None:
        """Send nothing more."""
        self._reader = None
        self.held.close()

    def hear(self) -> None:
        """Send all new events if the connection is writable. Call this whenever there may be new ones."""
        reader = self._reader
        if reader is None or not self._connection.writable:
            return
        try:
            events = reader.take()
            if events:
                self._write(self._chunks(events), events)
            elif reader.at_end:
                self._fail("The reply ended without its end: load the messages again.")
        except FellBehind:
            self._fail("The client read too slowly: resume the reply.")
        except Exception:
            # The run calls this: a bug in one encoder must not end the run for all readers.
            log.exception("a reply could not be written to a WebSocket")
            self._fail("Internal error of the gateway: see its log.")

    def _write(self, messages: list[bytes], events: Sequence[ReaderEvent]) -> None:
        """Send the messages of these events, and the end if they have it."""
        last = events[-1]
        if isinstance(last, _TERMINAL):
            self._reader = None
            if not self._resumes_after(last):
                messages.append(b'{"type":"end",%b}' % self._named)
            asyncio.get_running_loop().call_soon(self.leave)  # not within the journal's call
        self._connection.write_messages(messages)

    def _fail(self, text: str) -> None:
        self._reader = None
        self._connection.write_messages(
            [b'{"type":"error",%b,"errorText":%b}' % (self._named, json_bytes(text))]
        )
        asyncio.get_running_loop().call_soon(self.leave)

    def _resumes_after(self, end: ReaderEvent) -> bool:
        """True at a shutdown of a resumable reply: the socket is closed next, and the client resumes."""
        stopped = isinstance(end, Failed) and end.reason == "shutdown"
        return stopped and self._run is not None and self._run.resume_url is not None

    def _chunks(self, events: Sequence[ReaderEvent]) -> list[bytes]:
        told = list(_merged(events)) if len(events) > 1 else events
        if told and self._resumes_after(told[-1]):
            told = told[:-1]
        frames = [frame for event in told for frame in self._encoder.frames(event)]
        return [self._numbered(chunk) for frame in frames if (chunk := chunk_in(frame)) is not None]

    def _numbered(self, chunk: bytes) -> bytes:
        number, self._sequence = self._sequence, self._sequence + 1
        return b'{"type":"chunk",%b,"sequence":%d,"chunk":%b}' % (self._named, number, chunk)


def _merged(events: Sequence[ReaderEvent]) -> Iterator[ReaderEvent]:
    """Yield the events with adjacent deltas merged."""
    texts: list[str] = []
    chars = 0
    for event in events:
        if isinstance(event, Delta) and chars < _MAX_MERGED_CHARS:
            texts.append(event.text)
            chars += len(event.text)
            continue
        if texts:
            yield Delta("".join(texts))
            texts, chars = [], 0
        if isinstance(event, Delta):
            texts, chars = [event.text], len(event.text)
        else:
            yield event
    if texts:
        yield Delta("".join(texts))
