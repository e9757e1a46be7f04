"""Reads replies of other gateways for the rooms at this one: one request for each reply."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Collection, Sequence
from typing import Any, TypeVar

import httpx

from gateway.contract.errors import NotFound, Unreachable
from gateway.contract.events import (
    Cancelled,
    Delta,
    Ending,
    Failed,
    Finished,
    ReaderEvent,
    Reasoning,
    ToolCall,
)
from gateway.contract.replies_elsewhere import RunningReply
from gateway.contract.reply_owners import ReplyOwners
from gateway.core.key_ring import Caller
from gateway.web.relay.owner_connection import LOST, ByOwner, OwnerConnections
from gateway.web.relay.seal import RelaySeal

T = TypeVar("T")

CANCELLED = ("user_stop", "abandoned")


class OwnerReplies:
    """Implements gateway.contract.replies_elsewhere.RepliesElsewhere.

    Args:
        owners: of running replies.
        seal: signs the requests.
        silence_s: seconds without a byte after which a response is given up.
        dead: gateways that do not live any more, and are not asked.

    Attributes:
        waiting: for the next bytes of other gateways.
    """

    def __init__(
        self, owners: ReplyOwners, seal: RelaySeal, silence_s: float, dead: Collection[str] = ()
    ) -> None:
        self._owners = owners
        self._dead = dead
        self._seal = seal
        self._connections = OwnerConnections(silence_s)
        self.waiting: ByOwner[asyncio.Timeout] = ByOwner()

    async def in_session(self, session_id: int) -> Sequence[RunningReply]:
        return await self._owners.elsewhere(session_id)

    async def reading(self, stream_id: str, user_id: str) -> AsyncIterator[Sequence[ReaderEvent]]:
        owner = await self._owners.of_reply(stream_id)
        if owner is None or owner.is_me or owner.url is None or owner.name in self._dead:
            raise NotFound("No other gateway makes this reply.")
        path = f"/messages/stream/{stream_id}"
        scope = {"method": "GET", "path": path, "query_string": b"format=lam", "root_path": ""}
        headers = self._seal.headers(scope, Caller(user_id))
        request = self._connections.request("GET", f"{owner.url}{path}?format=lam", headers=headers)
        rest = b""
        try:
            async with self._connections.open() as transport:
                response = await self._unless_lost(owner.name, transport.handle_async_request(request))
                if response.status_code != httpx.codes.OK:
                    raise NotFound("The other gateway does not make this reply any more.")
                pieces = response.aiter_raw()
                while True:
                    piece = await self._unless_lost(owner.name, anext(pieces, b""))
                    if not piece:
                        break
                    *frames, rest = (rest + piece).split(b"\n\n")
                    if events := [event for frame in frames if (event := _event(frame)) is not None]:
                        yield events
                        if isinstance(events[-1], Finished | Cancelled | Failed):
                            return
        except LOST as error:  # TimeoutError is an OSError
            raise Unreachable(
                f"{owner.name} does not send its reply: {str(error) or type(error).__name__}"
            ) from error
        raise Unreachable(f"{owner.name} broke off its reply.")

    async def _unless_lost(self, owner: str, answer: Awaitable[T]) -> T:
        """Raises TimeoutError if the gateway is cut."""
        async with asyncio.timeout(None) as waiting:
            with self.waiting.noted(owner, waiting):
                return await answer

    def cut(self, owners: Collection[str]) -> None:
        """Give up the responses of these gateways, which do not live any more. They may be frozen, so that
        their connections stay open."""
        now = asyncio.get_running_loop().time()
        for waiting in self.waiting.of(owners):
            waiting.reschedule(now)


def _event(frame: bytes) -> ReaderEvent | None:
    """Return the event of one frame of dialects/lam.py; None for those that rooms do not need."""
    data = next((line[6:] for line in frame.split(b"\n") if line.startswith(b"data: ")), None)
    said: dict[str, Any] = {} if data is None else json.loads(data)
    match said.get("type"):
        case "chunk":
            return Delta(said["content"])
        case "reasoning":
            return Reasoning(said["content"])
        case "tool_call":
            return ToolCall(said["id"], said["name"], said["args"])
        case "done":
            kind = Cancelled if said["reason"] in CANCELLED else Finished
            return kind(said["reason"], _ending(said))
        case "error" if "assistant_message_id" in said:
            return Failed(said["reason"], said["code"], said["message"], said["retryable"], _ending(said))
    return None


def _ending(said: dict[str, Any]) -> Ending:
    return Ending(
        said["assistant_message_id"],
        said["full_content"],
        said["mode"],
        said["delivery"],
        said.get("model"),
        usage=None,
        ttft_ms=said.get("ttft_ms"),
        tokens_per_s=said.get("tokens_per_s"),
    )
