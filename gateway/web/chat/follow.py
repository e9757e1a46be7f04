"""Answers with a reply's stream: from its journal or, when that is gone, from the store."""

from collections.abc import Callable, Sequence

from gateway.contract.dialect import Dialect
from gateway.contract.journal import START, BadPosition, Position
from gateway.core.known_part import SkippingEncoder
from gateway.core.replays import Placed
from gateway.core.run import Run
from gateway.web.chat.earlier_events import (
    calls_up_to,
    dropped,
    opening_of,
    recall,
    rejoins,
    run_with_journal,
    tells_nothing_more,
    told_by_store,
)
from gateway.web.chat.fetch_spans import fetching
from gateway.web.chat.prefixed_links import encoder_of, resume_link
from gateway.web.chat.reply_stream import ReplyStream
from gateway.web.door.proxies import root_path_of
from gateway.web.http.asgi import Scope, Send, connection_of
from gateway.web.http.endpoint import BODY
from gateway.web.http.sse_writer import Headers, send_head, send_nothing_left
from gateway.web.relay.elsewhere import was_told_elsewhere
from gateway.web.services import Services


async def follow(
    gateway: Services,
    scope: Scope,
    send: Send,
    dialect: Dialect,
    stream_id: str,
    user_id: str,
    after: Position = START,
    *,
    with_ids: bool = True,
    headers: Headers = (),
    joined: Callable[[], None] = lambda: None,
    continues: bool = False,
) -> None:
    """Answer with the events after a position, or 204 if there are none. HEAD gets only headers.

    Dialects without ids always start from the beginning. Raises NotFound, BadPosition and RunsElsewhere
    before the response.

    Args:
        after: the position of the last event that the client has.
        with_ids: see ReplyStream.
        headers: further headers of the response.
        joined: called once this stream keeps the reply alive, so that the caller need not any more.
        continues: True begins where the reply was continued last, if `after` is START.
    """
    with fetching(gateway, scope, stream_id, user_id, after):
        if not dialect.bears_ids:
            with_ids, after = False, START
        run = run_with_journal(gateway, stream_id, user_id)
        opening: Sequence[Placed] = ()
        if continues and after == START:
            opening = await opening_of(gateway, run, stream_id, user_id)
            after = opening[0][1]
        response = _Response(gateway, scope, send, dialect, stream_id, after, opening, with_ids, headers)
        if run is None or not await response.sent_from_journal(run, joined):
            await response.send_from_store(user_id)


class _Response:
    """Sends the response to one reader.

    Args:
        after: see `follow`.
        opening: events that come first.
    """

    def __init__(
        self,
        gateway: Services,
        scope: Scope,
        send: Send,
        dialect: Dialect,
        stream_id: str,
        after: Position,
        opening: Sequence[Placed],
        with_ids: bool,
        headers: Headers,
    ) -> None:
        self._gateway = gateway
        self._scope = scope
        self._send = send
        self._dialect = dialect
        self._stream_id = stream_id
        self._after = after
        self._opening = opening
        self._with_ids = with_ids
        self._root_path = root_path_of(scope)
        self._encoder = encoder_of(dialect, stream_id, self._root_path)
        self._headers = [(b"sluice-stream-id", stream_id.encode()), *dialect.headers, *headers]

    async def sent_from_journal(self, run: Run, joined: Callable[[], None]) -> bool:
        """Send the events of this run, and return True when its reader leaves.

        Return False if another gateway gave the position: the store knows what comes after it.
        """
        gateway, after = self._gateway, self._after
        begins_at, nothing_more = after, False
        if after == START:
            begins_at = Position(run.base_seq, 0)
        elif rejoins(gateway, run, after):
            self._encoder = SkippingEncoder(self._encoder, after)
            begins_at = Position(run.base_seq, 0)
        else:
            try:
                calls = calls_up_to(gateway, run, after)
                nothing_more = tells_nothing_more(gateway, run, self._dialect, after)
            except BadPosition:
                if not await was_told_elsewhere(gateway, run):
                    raise
                return False
            recall(self._encoder, calls)
        self._scope.pop(BODY, None)  # the request will not be handled again
        if nothing_more:
            await send_nothing_left(self._send)
            return True
        if run.resume_url is not None:
            link = resume_link(self._dialect, self._root_path, run.resume_url)
            self._headers.append((b"sluice-resume-url", link))
        if self._scope["method"] == "HEAD":
            await send_head(self._send, self._headers, self._dialect.media_type)
            return True
        stream = self._stream(begins_at)
        with gateway.runs.reading(run, stream.hear, begins_at.seq) as reader:
            joined()
            earlier = await dropped(gateway, run, self._dialect, begins_at, reader.begins_at)
            await stream.serve(reader, self._send, self._headers, [*self._opening, *earlier])
        return True

    async def send_from_store(self, user_id: str) -> None:
        """Send the stored events of an ended reply. Raises NotFound and RunsElsewhere."""
        told = await told_by_store(
            self._gateway, self._stream_id, user_id, self._dialect, self._encoder, self._after
        )
        told = [*self._opening, *told]
        if not told:
            await send_nothing_left(self._send)
        elif self._scope["method"] == "HEAD":
            await send_head(self._send, self._headers, self._dialect.media_type)
        else:
            await self._stream(self._after).serve_replay(self._send, self._headers, told)

    def _stream(self, begins_at: Position) -> ReplyStream:
        return ReplyStream(
            connection_of(self._scope),
            self._dialect,
            self._encoder,
            self._gateway.pulse,
            with_ids=self._with_ids,
            after=begins_at,
        )
