"""Assembles tool calls from their fragments, in the variants of many servers."""

from collections.abc import Sequence

from gateway.contract.errors import ProtocolViolation, UpstreamFailed
from gateway.contract.events import TOOL_CALL_CHARS, ToolCall
from transports.lenient.loose_json import whole_arguments
from transports.llama.arguments_end import ArgumentsEnd
from transports.llama.chunks import CallPart

MAX_CALLS_CHARS = 2_000_000
"""Limit of all calls of one reply together: they are held in memory until it ends."""


class ToolCalls:
    """The calls of one reply.

    OpenAI numbers each call and gives id and name with its first fragment only. Ollama and Gemini number all
    calls 0; others number none, or repeat id and name in every fragment, or give every fragment an id of its
    own (vLLM).
    """

    __slots__ = ("_by_id", "_by_index", "_calls", "_latest", "_room_chars")

    def __init__(self) -> None:
        self._room_chars = MAX_CALLS_CHARS
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._latest: _Call | None = None

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, parts: Sequence[CallPart]) -> None:
        """Take the fragments of one chunk. Raises UpstreamFailed beyond MAX_CALLS_CHARS."""
        for position, part in enumerate(parts):
            function = part.function or part
            name, arguments = function.name, function.arguments
            if not (part.id or name or arguments):
                continue
            index = part.index
            if index is None and len(parts) > 1:
                index = position
            call = self._call_at(index, part.id)
            if call is not None and index is not None and call.is_named_on(part.id, name):
                call.name = f"{call.name}{name}"
                self._room_chars -= len(name or "")
                name = None
            if call is None or call.is_followed_by(part.id, name, arguments):
                call = _Call()
                self._calls.append(call)
                self._room_chars -= TOOL_CALL_CHARS + len(part.id or "") + len(name or "")
            elif call.is_repeated_by(part.id, arguments):
                continue
            if index is not None:
                self._by_index[index] = call
            self._latest = call
            call.id = call.id or part.id
            if call.id:
                self._by_id[call.id] = call
            call.name = call.name or name
            if arguments:
                call.arguments.append(arguments)
                call.chars += len(arguments)
                self._room_chars -= len(arguments)
            if self._room_chars < 0:
                raise UpstreamFailed(f"the model server sent tool calls of over {MAX_CALLS_CHARS} characters")

    def whole(self) -> list[ToolCall]:
        """Return all calls, in the order of their beginnings. Raises ProtocolViolation if one has no name."""
        told: list[ToolCall] = []
        ids: set[str] = set()
        for position, call in enumerate(self._calls):
            if not call.name:
                raise ProtocolViolation("the model server sent a tool call without a name")
            call_id = call.id or f"call_{position}"
            if call_id in ids:
                call_id = f"{call_id}_{position}"
            ids.add(call_id)
            told.append(ToolCall(call_id, call.name, whole_arguments(call.text())))
        return told

    def _call_at(self, index: int | None, call_id: str | None) -> "_Call | None":
        there = self._latest if index is None else self._by_index.get(index)
        if not call_id or there is None or there.id == call_id:
            return there
        return self._by_id.get(call_id, there)


class _Call:
    __slots__ = ("_end", "arguments", "chars", "id", "name")

    def __init__(self) -> None:
        self.id: str | None = None
        self.name: str | None = None
        self.arguments: list[str] = []
        self.chars = 0
        self._end = ArgumentsEnd()

    def text(self) -> str:
        """Return the arguments without a leading `{}`, which proxies of Anthropic's API send first."""
        first, rest = "".join(self.arguments[:1]), "".join(self.arguments[1:])
        return rest if first.strip() == "{}" and rest.strip() else first + rest

    def is_named_on(self, call_id: str | None, name: str | None) -> bool:
        """True if a fragment with this call's number continues its name."""
        is_more = name and self.name and name != self.name
        return bool(is_more and self.id and not call_id and not self.arguments)

    def is_followed_by(self, call_id: str | None, name: str | None, arguments: str | None) -> bool:
        """True if a fragment with this call's number begins another call."""
        if name and self.name and name != self.name:
            return True
        if call_id and self.id and call_id != self.id:
            # vLLM sends a new id without a name in every fragment: no new call before the arguments end.
            return bool(name) or (self._is_whole() and arguments != "" and not (arguments or "x").isspace())
        if not (name and arguments and self._is_whole()):
            return False
        return not self.is_repeated_by(call_id, arguments)

    def is_repeated_by(self, call_id: str | None, arguments: str | None) -> bool:
        """True if a fragment repeats this whole call."""
        # Compare lengths first: comparing texts at every fragment would take quadratic time.
        if not call_id or call_id != self.id or len(arguments or "") != self.chars:
            return False
        return arguments == "".join(self.arguments) and self._is_whole()

    def _is_whole(self) -> bool:
        return self._end.is_in(self.arguments)
