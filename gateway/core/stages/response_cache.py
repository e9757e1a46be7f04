"""The response cache answers a repeated request of the same user from memory."""

import hashlib
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from gateway.contract.events import Delivery, Delta, Done, Reasoning, ToolCall, TransportEvent, Usage
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest
from gateway.contract.stage import Next, Stage
from gateway.contract.transport import Hear
from gateway.core.reply_accumulator import merge_deltas

ENTRY_BYTES = 1_000
"""Size counted for each reply in addition to its texts: the key and the objects around it."""


@dataclass(frozen=True, slots=True)
class _Entry:
    done: Done
    size: int
    expires_at: float


class ResponseCache(Stage):
    """Stores complete replies by user, model, turns and sampling, and returns them as `delivery: "cached"`.

    Only replies that ended with `stop` are stored, and none with tools in request or reply. ChatRequest.cache
    "refresh" does not read but replaces the stored reply; "off" neither reads nor stores. Simultaneous equal
    requests are all generated.

    Args:
        ttl_s: seconds that a reply is stored.
        max_bytes: of all replies together; beyond it the least recently used are evicted.
        clock: seconds, monotonic.
    """

    def __init__(self, *, ttl_s: float, max_bytes: int, clock: Callable[[], float]) -> None:
        self._ttl_s = ttl_s
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._last_key: tuple[str, bytes | None] = ("", None)
        self.bytes = 0

    def expects(self, request: ChatRequest) -> Delivery | None:
        return None if self._find(request) is None else "cached"

    async def answer(self, request: ChatRequest, hear: Hear, next: Next) -> Done:
        entry = self._find(request)
        if entry is not None:
            return entry.done
        key = self._key(request)
        if key is None:
            return await next(request, hear)
        record = _Record(self._max_bytes, hear)
        done = await next(request, record.hear)
        if done.whole is not None:
            record.take(done.whole)
        if done.reason == "stop" and not record.spoilt:
            self._keep(key, record.events(), done)
        return done

    def _find(self, request: ChatRequest) -> _Entry | None:
        if request.cache != "use" or (key := self._key(request)) is None:
            return None
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_at <= self._clock():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def _keep(self, key: bytes, events: Sequence[TransportEvent], done: Done) -> None:
        self._drop(key)
        size = ENTRY_BYTES + sum(
            sys.getsizeof(event.text) for event in events if isinstance(event, Delta | Reasoning)
        )
        if size > self._max_bytes:
            return
        kept = replace(done, whole=tuple(events), cached=True)
        self._entries[key] = _Entry(kept, size, self._clock() + self._ttl_s)
        self.bytes += size
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.size

    def _key(self, request: ChatRequest) -> bytes | None:
        """Return the cache key; None for a request that is not cached. The key of the latest request is kept
        from `expects` to `answer`, because images are slow to hash."""
        if self._last_key[0] != request.id:
            self._last_key = (request.id, _key_of(request))
        return self._last_key[1]


def _key_of(request: ChatRequest) -> bytes | None:
    if request.cache == "off" or request.user is None or _has_tools(request):
        return None
    turns = [turn.as_json() for turn in request.turns]
    everything = [request.user, request.model, turns, request.sampling.as_json(), request.raw]
    try:
        return hashlib.sha256(msgspec.json.encode(everything, order="deterministic")).digest()
    except UnicodeEncodeError:  # half of a surrogate pair: the transport refuses the request
        return None


def _has_tools(request: ChatRequest) -> bool:
    options = request.sampling.options
    return bool(
        request.sampling.tools
        or options.get("tools")
        or options.get("functions")
        or any(turn.tool_calls or turn.role == "tool" for turn in request.turns)
    )


class _Record:
    """Passes a reply's events on and collects their text. `spoilt` is True if it must not be cached."""

    __slots__ = ("_hear", "_room", "_texts", "_usage", "spoilt")

    def __init__(self, max_bytes: int, hear: Hear) -> None:
        self._hear = hear
        self._room = max_bytes
        self._texts: list[Delta | Reasoning] = []
        self._usage: Usage | None = None
        self.spoilt = False

    def hear(self, events: Sequence[TransportEvent]) -> Awaitable[None] | None:
        if not self.spoilt:
            self.take(events)
        return self._hear(events)

    def take(self, events: Iterable[TransportEvent]) -> None:
        for event in events:
            if isinstance(event, Delta | Reasoning):
                self._texts.append(event)
                self._room -= len(event.text)
            elif isinstance(event, Usage):
                self._usage = event
            elif isinstance(event, ToolCall):
                self._room = -1
        if self._room < 0:
            self.spoilt = True
            self._texts.clear()

    def events(self) -> Sequence[TransportEvent]:
        """Return the whole reply with adjacent texts merged, without the original generation speed."""
        texts = merge_deltas(self._texts)
        return texts if self._usage is None else [*texts, replace(self._usage, tokens_per_s=None)]
