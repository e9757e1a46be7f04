"""Following a stream, live or long over: what a POST begins and a GET resumes."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from urllib.parse import parse_qs

from gateway.contract.dialect import Dialect, Encoder
from gateway.contract.errors import NotFound
from gateway.contract.events import Delta, ReaderEvent, Started, ToolCall
from gateway.contract.journal import START, BadPosition, Position
from gateway.core.replays import Placed, calls_before, replay, rest_of, started_of
from gateway.core.runs import Run
from gateway.dialects.registry import LAM
from gateway.web.chat.formats import dialect_chosen
from gateway.web.chat.reply_stream import ReplyStream
from gateway.web.door.callers import caller_of
from gateway.web.door.proxies import root_path_of
from gateway.web.http.asgi import Receive, Scope, Send, connection_of, header
from gateway.web.http.endpoint import path_id
from gateway.web.http.sse_writer import Headers, send_head
from gateway.web.services import Services


class ResumeStream:
    """Answers with a stream behind `Last-Event-ID`, or `last_event_id` in the query."""

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
) -> None:
    """Answer with the stream's events behind a position; 204 if its end had been read. HEAD gets no events.

    A dialect that bears no ids starts from the beginning.

    headers: of the answer, besides every stream's own. joined: called once we read along, for those who kept
    the reply alive until then.
    Raises NotFound and BadPosition, and then nothing was answered yet.
    """
    root_path = root_path_of(scope)
    is_head = scope["method"] == "HEAD"
    encoder = _encoder(dialect, stream_id, root_path)
    if not dialect.bears_ids:
        with_ids, after = False, START
    stream = ReplyStream(
        connection_of(scope), dialect, encoder, gateway.pulse, with_ids=with_ids, after=after
    )
    sent = [(b"sluice-stream-id", stream_id.encode()), *dialect.headers, *headers]
    with ExitStack() as stack:
        try:
            run = gateway.runs.find(stream_id, user_id)
            _recall(encoder, _calls_up_to(gateway, run, after))
            ended = after != START and _tells_nothing_more(gateway, run, dialect, after)
            if not (ended or is_head):
                reader = stack.enter_context(gateway.runs.reading(run, stream.hear, after.seq))
            joined()
        except NotFound:
            message = await gateway.store.reply(user_id, stream_id)
            _recall(encoder, calls_before(message, after))
            told = replay(message, await gateway.store.exchange(user_id, stream_id), after)
            if after != START and _are_silent(dialect, stream_id, [event for event, _ in told]):
                told = []
            if not told:
                await _send_nothing_left(send)
            elif is_head:
                await send_head(send, sent, dialect.media_type)
            else:
                await stream.serve_replay(send, sent, told)
            return
        if ended:
            await _send_nothing_left(send)
            return
        if run.resume_url is not None:
            sent.append((b"sluice-resume-url", _told_in(dialect, root_path + run.resume_url).encode()))
        if is_head:
            await send_head(send, sent, dialect.media_type)
            return
        await stream.serve(reader, send, sent, await _dropped(gateway, run, after, reader.begins_at))


class _PrefixedLinks:
    """An encoder for a reader who reaches us under a path prefix."""

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
    """Let an encoder that numbers tool calls know those that its reader has heard before."""
    for call in calls:
        encoder.frames(call)


def _calls_up_to(gateway: Services, run: Run, after: Position) -> list[ToolCall]:
    """The tool calls up to this position; a live reply's journal drops none.

    Raises BadPosition where the journal's text does not end there: what follows would be cut or doubled.
    """
    if after == START:
        return []
    with gateway.runs.looking(run, 0) as look:
        first = START if look.begins_at is None else look.begins_at
        events = look.take()[: max(0, after.seq - first.seq)]
    chars = first.chars + sum(len(event.text) for event in events if isinstance(event, Delta))
    # Before `first`, the text alone says where it goes on; see rest_of.
    fits = after.chars == chars if after.seq >= first.seq else after.chars <= chars
    if not fits:
        raise BadPosition("The event id does not fit this reply.")
    return [event for event in events if isinstance(event, ToolCall)]


def _tells_nothing_more(gateway: Services, run: Run, dialect: Dialect, after: Position) -> bool:
    """Return whether the run has ended and its journal holds nothing more that this dialect tells."""
    with gateway.runs.looking(run, after.seq) as look:
        if look.at_end:
            return True
        if not run.ended.is_set() or look.begins_at is not None:
            return False
        return _are_silent(dialect, run.stream_id, look.take())


def _are_silent(dialect: Dialect, stream_id: str, events: Sequence[ReaderEvent]) -> bool:
    """Return whether the dialect has no frames for these events.

    Then they are not worth a 200: clients such as eventsource-client ignore a frame that is only an id, and
    would come back behind the same event for ever.
    """
    frames = dialect.encoder(stream_id).frames
    return not any(frames(event) for event in events)


async def _dropped(
    gateway: Services, run: Run, after: Position, begins_at: Position | None
) -> Sequence[Placed]:
    """What a live reply's journal has dropped behind this position: its text is in the store."""
    if begins_at is None:
        return ()
    message = await gateway.store.reply(run.user_id, run.stream_id)
    told: list[Placed] = []
    if after.seq == 0:
        exchange = await gateway.store.exchange(run.user_id, run.stream_id)
        told.append((started_of(message, exchange, run.resume_url), Position(1, 0)))
    return [*told, *rest_of(message.content[: begins_at.chars], after)]


async def _send_nothing_left(send: Send) -> None:
    """204 tells an EventSource to stop coming back."""
    await send({"type": "http.response.start", "status": 204, "headers": [(b"cache-control", b"no-store")]})
    await send({"type": "http.response.body", "body": b""})


def _told_in(dialect: Dialect, url: str) -> str:
    """Where the stream goes on in the same dialect."""
    return url if dialect is LAM else f"{url}&format={dialect.name}"


def resume_url(stream_id: str, ticket: str) -> str:
    """Where an EventSource can read this stream, relative to the gateway."""
    return f"/messages/stream/{stream_id}?ticket={ticket}"
