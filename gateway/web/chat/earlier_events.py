"""The events of a reply up to a reader's position, and those that its journal no longer has."""

from collections.abc import Iterable, Sequence

from gateway.contract.dialect import Dialect, Encoder
from gateway.contract.errors import NotFound
from gateway.contract.events import Delta, ReaderEvent, Reasoning, ToolCall
from gateway.contract.journal import START, BadPosition, Position
from gateway.core.event_lengths import events_again, unpacked
from gateway.core.replays import Placed, calls_before, exact_replay, placed, replay, rest_of, started_of
from gateway.core.run import Run
from gateway.web.relay.elsewhere import check_ended
from gateway.web.services import Services


def run_with_journal(gateway: Services, stream_id: str, user_id: str) -> Run | None:
    """Return the run if its journal is kept: then it stays at least until the next await."""
    try:
        run = gateway.runs.find(stream_id, user_id)
    except NotFound:
        return None
    return run if stream_id in gateway.journal else None


async def opening_of(gateway: Services, run: Run | None, stream_id: str, user_id: str) -> Sequence[Placed]:
    """Return the Started event of a continued reply, at the position at which it goes on."""
    if run is not None and run.opening is not None:
        return [(run.opening, run.begins_at)]
    message = await gateway.store.reply(user_id, stream_id)
    exchange = await gateway.store.exchange(user_id, stream_id)
    return [(started_of(message, exchange), message.places[-1] if message.places else START)]


async def told_by_store(
    gateway: Services, stream_id: str, user_id: str, dialect: Dialect, encoder: Encoder, after: Position
) -> Sequence[Placed]:
    """Return the events after a position; none if the dialect has no frames for them.

    Raises NotFound, and RunsElsewhere if another gateway makes the reply.
    """
    message = await gateway.store.reply(user_id, stream_id)
    await check_ended(gateway, message)
    recall(encoder, calls_before(message, after))
    exchange = await gateway.store.exchange(user_id, stream_id)
    if dialect.merges or message.event_lengths is None:
        told = replay(message, exchange, after)
    else:
        told = exact_replay(message, exchange)
    if after != START and _are_silent(dialect, stream_id, [event for event, _ in told]):
        return ()
    return told


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


def recall(encoder: Encoder, calls: Iterable[ToolCall]) -> None:
    """Pass earlier tool calls to the encoder, so that it numbers the next ones correctly."""
    for call in calls:
        encoder.frames(call)


def calls_up_to(gateway: Services, run: Run, after: Position) -> list[ToolCall]:
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


def rejoins(gateway: Services, run: Run, after: Position) -> bool:
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


def tells_nothing_more(gateway: Services, run: Run, dialect: Dialect, after: Position) -> bool:
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
