"""Streams a reply from its journal or, when that is gone, from the store. GET resumes what POST began."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from urllib.parse import parse_qs

from gateway.contract.dialect import Dialect, Encoder
from gateway.contract.errors import NotFound
from gateway.contract.events import Delta, ReaderEvent, Reasoning, Started, ToolCall
from gateway.contract.journal import START, BadPosition, Position
from gateway.contract.traces import Fetch
from gateway.core.event_lengths import events_again, unpacked
from gateway.core.known_part import SkippingEncoder
from gateway.core.replays import Placed, calls_before, exact_replay, placed, replay, rest_of, started_of
from gateway.core.run import Run
from gateway.dialects.registry import LAM
from gateway.web.chat.formats import dialect_chosen
from gateway.web.chat.reply_stream import ReplyStream
from gateway.web.door.callers import caller_of
from gateway.web.door.proxies import root_path_of
from gateway.web.http.asgi import Receive, Scope, Send, connection_of, header
from gateway.web.http.endpoint import BODY, path_id
from gateway.web.http.sse_writer import Headers, send_head, send_nothing_left, send_pause
from gateway.web.http.traced_requests import trace_of
from gateway.web.relay.elsewhere import check_ended, was_told_elsewhere
from gateway.web.services import Services


class ResumeStream:
    """Answers with the stream after the event of `Last-Event-ID`, or of `last_event_id` in the query."""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        user_id = caller_of(scope).user_id
        dialect = dialect_chosen(scope) or LAM
        event_id = header(scope, b"last-event-id")
        if event_id is None:
            event_id = query.get("last_event_id", [""])[0]
        after = Position.parse(event_id) if event_id else START
        self._gateway.pulse.resumed += after != START and scope["method"] != "HEAD"
        if self._gateway.runs.may_lose(path_id(scope)):
            if not dialect.bears_ids:
                self._gateway.runs.refuse_new()
            await send_pause(send, dialect.media_type)  # after an error, EventSource does not reconnect
            return
        await follow(self._gateway, scope, send, dialect, path_id(scope), user_id, after)


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
        root_path = root_path_of(scope)
        is_head = scope["method"] == "HEAD"
        encoder = _encoder(dialect, stream_id, root_path)
        if not dialect.bears_ids:
            with_ids, after = False, START
        run = _run_with_journal(gateway, stream_id, user_id)
        opening: Sequence[Placed] = ()
        if continues and after == START:
            opening = await _opening(gateway, run, stream_id, user_id)
            after = opening[0][1]
        rejoins = run is not None and _rejoins(gateway, run, after)
        if rejoins:
            encoder = SkippingEncoder(encoder, after)
        begins_at = Position(run.base_seq, 0) if run is not None and (rejoins or after == START) else after
        stream = ReplyStream(
            connection_of(scope), dialect, encoder, gateway.pulse, with_ids=with_ids, after=begins_at
        )
        sent = [(b"sluice-stream-id", stream_id.encode()), *dialect.headers, *headers]
        knows_all = False
        if run is not None and not rejoins and after != START:
            try:
                calls = _calls_up_to(gateway, run, after)
                knows_all = _tells_nothing_more(gateway, run, dialect, after)
                _recall(encoder, calls)
            except BadPosition:
                if not await was_told_elsewhere(gateway, run):
                    raise
                run = None
        if run is None:
            told = await _told_by_store(gateway, stream_id, user_id, dialect, encoder, after)
            told = [*opening, *told]
            if not told:
                await send_nothing_left(send)
            elif is_head:
                await send_head(send, sent, dialect.media_type)
            else:
                await stream.serve_replay(send, sent, told)
            return
        scope.pop(BODY, None)  # the request will not be handled again
        if knows_all:
            await send_nothing_left(send)
            return
        if run.resume_url is not None:
            sent.append((b"sluice-resume-url", _told_in(dialect, root_path + run.resume_url).encode()))
        if is_head:
            await send_head(send, sent, dialect.media_type)
            return
        with gateway.runs.reading(run, stream.hear, begins_at.seq) as reader:
            joined()
            before = [*opening, *await dropped(gateway, run, dialect, begins_at, reader.begins_at)]
            await stream.serve(reader, send, sent, before)


def fetching(
    gateway: Services, scope: Scope, stream_id: str, user_id: str, after: Position
) -> AbstractContextManager[None]:
    """Return the span of a read by another request than the one that asked."""
    is_read = scope["method"] == "GET" or (scope["method"] == "POST" and after != START)
    if not gateway.traces.enabled or not is_read:
        return nullcontext()
    try:
        run = gateway.runs.find(stream_id, user_id)
    except NotFound:
        run = None
    production = None if run is None else run.production
    return gateway.traces.fetching(
        Fetch(
            stream_id=stream_id,
            trace=trace_of(scope),
            reply=None if run is None else run.span.trace,
            transport=None if production is None else production().mode,
            cursor=None if after == START else f"{after.seq}-{after.chars}",
        )
    )


def _run_with_journal(gateway: Services, stream_id: str, user_id: str) -> Run | None:
    """Return the run if its journal is kept: then it stays at least until the next await."""
    try:
        run = gateway.runs.find(stream_id, user_id)
    except NotFound:
        return None
    return run if stream_id in gateway.journal else None


async def _opening(gateway: Services, run: Run | None, stream_id: str, user_id: str) -> Sequence[Placed]:
    """Return the Started event of a continued reply, at the position at which it goes on."""
    if run is not None and run.opening is not None:
        return [(run.opening, run.begins_at)]
    message = await gateway.store.reply(user_id, stream_id)
    exchange = await gateway.store.exchange(user_id, stream_id)
    return [(started_of(message, exchange), message.places[-1] if message.places else START)]


async def _told_by_store(
    gateway: Services, stream_id: str, user_id: str, dialect: Dialect, encoder: Encoder, after: Position
) -> Sequence[Placed]:
    """Return the events after a position; none if the dialect has no frames for them.

    Raises NotFound, and RunsElsewhere if another gateway makes the reply.
    """
    message = await gateway.store.reply(user_id, stream_id)
    await check_ended(gateway, message)
    _recall(encoder, calls_before(message, after))
    exchange = await gateway.store.exchange(user_id, stream_id)
    if dialect.merges or message.event_lengths is None:
        told = replay(message, exchange, after)
    else:
        told = exact_replay(message, exchange)
    if after != START and _are_silent(dialect, stream_id, [event for event, _ in told]):
        return ()
    return told


class _PrefixedLinks:
    """Adds the path prefix of the client to links."""

    def __init__(self, encoder: Encoder, root_path: str) -> None:
        self._encoder = encoder
        self._root_path = root_path

    def frames(self, event: ReaderEvent) -> Sequence[bytes]:
        if isinstance(event, Started) and event.resume_url is not None:
            event = replace(event, resume_url=self._root_path + event.resume_url)
        return self._encoder.frames(event)


def _encoder(dialect: Dialect, stream_id: str, root_path: str) -> Encoder:
    encoder = dialect.encoder(stream_id)
    return _PrefixedLinks(encoder, root_path) if root_path else encoder


def _recall(encoder: Encoder, calls: Iterable[ToolCall]) -> None:
    """Pass earlier tool calls to the encoder, so that it numbers the next ones correctly."""
    for call in calls:
        encoder.frames(call)


def _calls_up_to(gateway: Services, run: Run, after: Position) -> list[ToolCall]:
    """Return the tool calls up to this position. The journal of a running reply keeps all of them.

    Raises BadPosition if the number of characters does not match: text would be lost or repeated.
    """
    with gateway.runs.looking(run, 0) as look:
        first = Position(run.base_seq, 0) if look.begins_at is None else look.begins_at
        events = look.take()[: max(0, after.seq - first.seq)]
    chars = first.chars + sum(len(event.text) for event in events if isinstance(event, Delta))
    # Before `first`, only the number of characters counts; see rest_of.
    fits = after.chars == chars if after.seq >= first.seq else after.chars <= chars
    if not fits:
        raise BadPosition("The event id does not belong to this reply.")
    return [event for event in events if isinstance(event, ToolCall)]


def _rejoins(gateway: Services, run: Run, after: Position) -> bool:
    """Return whether the reader got the position from the gateway that began the reply, which has died.

    Then the reply is read from its beginning, without what the reader has. It may have more than there is.
    """
    if after == START or not run.is_adopted:
        return False
    try:
        with gateway.runs.looking(run, after.seq):
            return after.seq < run.base_seq
    except BadPosition:
        return True


def _tells_nothing_more(gateway: Services, run: Run, dialect: Dialect, after: Position) -> bool:
    """Return whether the run has ended and no event after the position has a frame in this dialect."""
    with gateway.runs.looking(run, after.seq) as look:
        if look.at_end:
            return True
        if not run.ended.is_set() or look.begins_at is not None:
            return False
        return _are_silent(dialect, run.stream_id, look.take())


def _are_silent(dialect: Dialect, stream_id: str, events: Sequence[ReaderEvent]) -> bool:
    """Return whether the dialect has no frames for these events.

    Then 204 is sent: clients such as eventsource-client ignore a frame with only an id, and would reconnect
    with the same event id without end.
    """
    frames = dialect.encoder(stream_id).frames
    return not any(frames(event) for event in events)


async def dropped(
    gateway: Services, run: Run, dialect: Dialect, after: Position, begins_at: Position | None
) -> Sequence[Placed]:
    """Return the events after this position that the journal has dropped, with their text from the store."""
    if begins_at is None:
        return ()
    message = await gateway.store.reply(run.user_id, run.stream_id)
    kept = message.event_lengths
    lengths = run.event_lengths or (unpacked(kept) if kept else ())
    if lengths and not dialect.merges:
        exchange = await gateway.store.exchange(run.user_id, run.stream_id)
        events = events_again(lengths[: begins_at.seq - 1], message.content, message.reasoning or "", ())
        return list(placed([started_of(message, exchange, run.resume_url), *events]))
    told: list[Placed] = []
    if after.seq == run.base_seq:
        exchange = await gateway.store.exchange(run.user_id, run.stream_id)
        told.append((started_of(message, exchange, run.resume_url), Position(after.seq + 1, 0)))
    if (thoughts := (message.reasoning or "")[after.thoughts : begins_at.thoughts]) and not after.chars:
        after = Position(max(after.seq, 1), 0, after.thoughts + len(thoughts), after.calls)
        told.append((Reasoning(thoughts), after))
    return [*told, *rest_of(message.content[: begins_at.chars], after)]


def _told_in(dialect: Dialect, url: str) -> str:
    """Return the URL with the dialect as its `format`."""
    return url if dialect is LAM else f"{url}&format={dialect.name}"


def resume_url(stream_id: str, ticket: str) -> str:
    """Return the URL of the stream for an EventSource, relative to the gateway."""
    return f"/messages/stream/{stream_id}?ticket={ticket}"
