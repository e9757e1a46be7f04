"""Streams that llama.cpp keeps for a conversation id: they go on without their client, and are sent again.

Source: llama.cpp's server: `X-Conversation-Id`, `/v1/stream`, `/v1/streams/lookup`. Others lack them.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec

from gateway.contract.errors import GatewayError, Interrupted, ProtocolViolation, TimedOut, TransportError
from gateway.contract.reattach import Handle
from transports.lenient.loose_json import UNREADABLE
from transports.llama.client import ModelServerClient, whole_body
from transports.llama.failures import before_answer
from transports.llama.http_exchange import HttpExchange
from transports.llama.replies import MAX_ANSWER_BYTES, refusal_in

log = logging.getLogger("sluice.servers")

HEAD_S = 1.0
"""Seconds for the head of a response. In a burst some requests to llama.cpp stall for longer, and are
answered at once on another connection."""
TRIES = 5
MAX_IDS = 1000
"""Maximum number of ids in one lookup."""
FIRST_PAUSE_S, MAX_PAUSE_S = 0.01, 1.0
AWAY_PAUSE_S = 5.0
"""Seconds between two stops of a stream whose server does not answer."""
STOP_S = 120.0
"""Seconds for which a stop is repeated: a prompt that is being processed is stopped at its end."""
LAST_STOPS_S = 2.0
"""Seconds for which the end of the gateway waits for stops."""

GONE = "The gateway ended before the reply did, and the model server does not have the reply any more."
KEEPS_NONE = "The gateway ended before the reply did, and the model server does not keep replies."

_ID = re.compile("[0-9a-f]{32}")


class OffsetLost(Exception):
    """The server has dropped the beginning of the stream: it keeps the last 4 MiB."""


class _Stream(msgspec.Struct):
    conversation_id: str


class KeptStreams:
    """The streams of one server.

    Args:
        client: of the server.

    Attributes:
        are_kept: True if the server keeps streams, False if not; None while unknown.
    """

    def __init__(
        self, client: ModelServerClient, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._client = client
        self._sleep = sleep
        self._asked: dict[str, asyncio.Future[bool]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._stops: dict[str, asyncio.Task[None]] = {}
        self.are_kept: bool | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Find and stop streams during the block. Leaving it waits up to LAST_STOPS_S for stops."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                yield
            finally:
                if stops := [*self._stops.values()]:
                    await asyncio.wait(stops, timeout=LAST_STOPS_S)
                for task in stops:
                    task.cancel()

    async def learn(self) -> bool:
        """Find out if the server keeps streams, and return it; False if it does not answer."""
        try:
            self.are_kept = await self._lookup([]) is not None
        except GatewayError:
            return False
        return self.are_kept

    async def find(self, id: str) -> None:
        """Return if the server has this stream, running or complete. Simultaneous calls make one request.

        Raises Interrupted if it does not, and TransportError.
        """
        if self.are_kept is False:
            raise Interrupted(KEEPS_NONE)
        found = self._asked.get(id)
        if found is None:
            found = self._asked[id] = asyncio.get_running_loop().create_future()
            if len(self._asked) == 1:
                assert self._tasks is not None, "find outside of running()"  # noqa: S101 - a bug of the caller
                self._tasks.create_task(self._find_all())
        if not await asyncio.shield(found):
            raise Interrupted(GONE)

    async def follow(self, id: str, offset: int) -> HttpExchange:
        """Return the response with the stream's bytes from this offset of its body on, and then new ones.

        Raises Interrupted if the server does not have the stream, OffsetLost, and TransportError.
        """
        exchange = await self._answered(lambda: self._client.get(_path(id, offset)))
        if exchange.status == 200:
            return exchange
        try:
            refusal = await refusal_in(exchange)
        finally:
            exchange.close()
        if exchange.status == 404:
            raise Interrupted(GONE)
        if exchange.status == 400:
            raise OffsetLost
        raise refusal if isinstance(refusal, TransportError) else ProtocolViolation(str(refusal))

    def stop(self, id: str) -> None:
        """Stop the stream, whose connection is closed, in the background."""
        if self._tasks is not None and id not in self._stops:
            stopping = self._stops[id] = self._tasks.create_task(self._stop(id))
            stopping.add_done_callback(lambda _: self._stops.pop(id, None))

    async def _stop(self, id: str) -> None:
        """Ask for the stop until the server does not list the stream any more: its answer proves nothing."""
        clock = asyncio.get_running_loop()
        give_up_at = clock.time() + STOP_S
        pause_s = FIRST_PAUSE_S
        while clock.time() < give_up_at:
            try:
                (await self._answered(lambda: self._client.delete(_path(id)))).close()
                await self._sleep(pause_s)
                if not await self._lookup([id]):
                    return
            except GatewayError as error:
                # A server that is frozen, or cut off, still has the stream when it is back.
                log.debug("stream %s of a model server could not be stopped yet: %s", id, error)
                await self._sleep(AWAY_PAUSE_S)
            pause_s = min(2 * pause_s, MAX_PAUSE_S)
        log.warning("the model server did not stop a reply within %g s", STOP_S)

    async def _find_all(self) -> None:
        """Look up all ids that are asked for at the same time."""
        await asyncio.sleep(0)
        asked, self._asked = self._asked, {}
        ids = list(asked)
        try:
            for at in range(0, len(ids), MAX_IDS):
                some = ids[at : at + MAX_IDS]
                there = await self._lookup(some)
                self.are_kept = there is not None
                for id in some:
                    _tell(asked[id], id in (there or ()))
        except GatewayError as error:
            for found in asked.values():
                if not found.done():
                    found.set_exception(error)
                    found.exception()  # asyncio logs an exception that nobody retrieves
        finally:
            for found in asked.values():
                found.cancel()

    async def _lookup(self, ids: list[str]) -> set[str] | None:
        """Return those of the ids that the server has; None if it keeps no streams."""
        body = msgspec.json.encode({"conversation_ids": ids})
        exchange = await self._answered(lambda: self._client.post(b"/v1/streams/lookup", body))
        try:
            if exchange.status != 200:
                error = await refusal_in(exchange)
                if isinstance(error, TransportError) and exchange.status != 501:
                    raise error
                return None
            with before_answer:
                async with asyncio.timeout(HEAD_S):
                    told = await whole_body(exchange, MAX_ANSWER_BYTES)
        except TimeoutError:
            raise TimedOut("the model server did not send its list of streams in time") from None
        finally:
            exchange.close()
        try:
            return {stream.conversation_id for stream in msgspec.json.decode(told, type=list[_Stream])}
        except UNREADABLE:
            return None

    async def _answered(self, ask: Callable[[], Awaitable[HttpExchange]]) -> HttpExchange:
        """Return the response's head, which must arrive within HEAD_S; else ask on another connection."""
        for _ in range(TRIES):
            try:
                async with asyncio.timeout(HEAD_S):
                    with before_answer:
                        return await ask()
            except TimeoutError:
                continue
        raise TimedOut(f"the model server did not answer within {TRIES * HEAD_S:g} s")


def conversation_in(handle: Handle) -> str:
    """Return the conversation id of a handle. Raises Interrupted if it has none."""
    id = handle.get("conversation_id")
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise Interrupted(GONE)
    return id


def conversation_header(id: str) -> bytes:
    """Return the line of a request's head with which the server keeps its stream. id: 32 hex digits."""
    return b"X-Conversation-Id: %b\r\n" % id.encode("ascii")


def _path(id: str, offset: int | None = None) -> bytes:
    path = f"/v1/stream?conv_id={id}"
    return (path if offset is None else f"{path}&from={offset}").encode()


def _tell(found: asyncio.Future[bool], is_there: bool) -> None:
    if not found.done():
        found.set_result(is_there)
