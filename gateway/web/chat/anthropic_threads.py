"""Anthropic's threads: a request that brings only new messages goes on after a message of ours.

Each request of a thread is stored with its reply: its messages, and all settings of the thread.
"""

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.contract.compression import compressed
from gateway.contract.errors import NotFound
from gateway.contract.misfits import misfit
from gateway.contract.store import StoredMessage
from gateway.dialects.anthropic import message_json
from gateway.web.chat.anthropic_errors import ThreadNotFound
from gateway.web.services import Services

MAX_KEPT_BYTES = 4 * 1024 * 1024
"""Maximum size of a stored request as JSON. A thread cannot go on after a larger one."""

MAX_CHAIN = 500
"""Maximum number of earlier requests of a thread."""

API = "anthropic"
"""Marks stored requests of this API."""

ENDED = ("complete", "cancelled")
"""States of a reply after which a thread can go on; after a failure the client has no message."""

Object = dict[str, Any]

_MESSAGE_ID = re.compile("msg_([0-9a-f]{32})")
_OWN_FIELDS = ("messages", "thread", "stream")


@dataclass(frozen=True, slots=True)
class Thread:
    """The thread of one request, before this request.

    Attributes:
        previous: stream id of the reply that the request goes on from; None for a new thread.
        session_id: of that reply.
        messages: all earlier messages, the oldest first.
        settings: fields of the thread's first request, and those that later ones replaced.
    """

    previous: str | None = None
    session_id: int | None = None
    messages: Sequence[Object] = ()
    settings: Object = field(default_factory=dict)

    def kept(self, given: Object) -> bytes | None:
        """Return a request of this thread as it is stored; None if it is too large.

        given: the fields of its body.
        """
        told = {
            "api": API,
            "messages": given["messages"],
            "settings": {**self.settings, **_settings(given)},
            "previous": self.previous,
        }
        encoded = json.dumps(told).encode()
        return compressed(encoded) if len(encoded) <= MAX_KEPT_BYTES else None

    def whole(self, given: Object) -> Object:
        """Return the body of this request with the whole conversation and the thread's settings."""
        return {**self.settings, **_settings(given), "messages": [*self.messages, *given["messages"]]}


async def thread_of(gateway: Services, user_id: str, said: Object | None) -> Thread | None:
    """Return the thread that a body's field `thread` names; None without it.

    Raises ThreadNotFound if the message is unknown, another user's or no message of a thread.
    """
    match said:
        case None:
            return None
        case {"type": "create"}:
            return Thread()
        case {"type": "continue", "previous_message_id": str(message_id)}:
            return await _continued(gateway, user_id, message_id)
        case {"type": "continue"}:
            raise misfit("thread.previous_message_id", "must be the id of a message")
        case _:
            raise misfit("thread.type", "must be create or continue")


async def _continued(gateway: Services, user_id: str, message_id: str) -> Thread:
    match = _MESSAGE_ID.fullmatch(message_id)
    pieces: list[Sequence[Object]] = []
    settings: Object | None = None
    session_id: int | None = None
    size = 0
    previous = first = None if match is None else match[1]
    while previous is not None and len(pieces) < MAX_CHAIN:
        reply = await _reply(gateway, user_id, previous)
        written = zlib.decompress(reply.request) if reply.request else b"{}"
        request: Object = msgspec.json.decode(written)
        size += len(written) + len(reply.content)
        if request.get("api") != API or reply.status not in ENDED or size > gateway.max_message_bytes:
            break
        if settings is None:
            settings, session_id = request["settings"], reply.session_id
        content = message_json(reply, previous)["content"]
        answered = [{"role": "assistant", "content": content}] if content else []
        pieces.append([*request["messages"], *answered])
        previous = request["previous"]
    if settings is None or previous is not None:
        raise ThreadNotFound(f"No thread is kept with the message {message_id[:100]!r}: send all messages.")
    messages = [message for piece in reversed(pieces) for message in piece]
    return Thread(first, session_id, messages, settings)


async def _reply(gateway: Services, user_id: str, stream_id: str) -> StoredMessage:
    try:
        return await gateway.store.reply(user_id, stream_id)
    except NotFound:
        raise ThreadNotFound(f"There is no message msg_{stream_id}: send all messages.") from None


def _settings(given: Object) -> Object:
    return {name: value for name, value in given.items() if name not in _OWN_FIELDS and value is not None}
