"""Idempotency keys: a repeated request, even a simultaneous one, never starts a second reply."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.contract.errors import Conflict
from gateway.contract.exchanges import IdempotencyClaim
from gateway.contract.store import MessageStore
from gateway.core.cancelled import is_cancelled


@dataclass(frozen=True, slots=True)
class _Pending:
    fingerprint: str
    stream_id: asyncio.Future[str]


class Idempotency:
    def __init__(self, store: MessageStore) -> None:
        self._store = store
        self._pending: dict[tuple[str, str], _Pending] = {}

    async def once(self, user_id: str, claim: IdempotencyClaim, begin: Callable[[], Awaitable[str]]) -> str:
        """Return the stream of this key: the existing one, or the one that `begin` starts.

        Concurrent calls with the same key wait for the first call and get its stream id, or its exception.
        Raises Conflict if the key was used with another request.
        """
        if (begun := await self._being_begun(user_id, claim)) is not None:
            return begun
        place = (user_id, claim.key)
        mine = _Pending(claim.fingerprint, asyncio.get_running_loop().create_future())
        self._pending[place] = mine
        try:
            stream_id = await self._find(user_id, claim) or await self._begin(user_id, claim, begin)
        except Exception as error:
            mine.stream_id.set_exception(error)
            mine.stream_id.exception()  # asyncio logs an exception that nobody retrieves
            raise
        else:
            mine.stream_id.set_result(stream_id)
            return stream_id
        finally:
            mine.stream_id.cancel()
            del self._pending[place]

    async def existing(self, user_id: str, claim: IdempotencyClaim) -> str | None:
        """Return the stream of this key, waiting for a call that is starting it; None if it was not used.

        Raises Conflict if the key was used with another request.
        """
        return await self._being_begun(user_id, claim) or await self._find(user_id, claim)

    async def _being_begun(self, user_id: str, claim: IdempotencyClaim) -> str | None:
        """Wait for a concurrent call that is starting the stream of this key; None if there is none."""
        while (pending := self._pending.get((user_id, claim.key))) is not None:
            _check(pending.fingerprint, claim)
            try:
                return await asyncio.shield(pending.stream_id)
            except asyncio.CancelledError:
                if is_cancelled() or not pending.stream_id.cancelled():
                    raise  # This call was cancelled, perhaps together with the one that it waits for.
        return None

    async def _find(self, user_id: str, claim: IdempotencyClaim) -> str | None:
        claimed = await self._store.claimed(user_id, claim.key)
        if claimed is None:
            return None
        _check(claimed.fingerprint, claim)
        return claimed.stream_id

    async def _begin(self, user_id: str, claim: IdempotencyClaim, begin: Callable[[], Awaitable[str]]) -> str:
        try:
            return await begin()
        except Conflict:
            # Another process on the same database was faster.
            stream_id = await self._find(user_id, claim)
            if stream_id is None:
                raise
            return stream_id


def _check(fingerprint: str, claim: IdempotencyClaim) -> None:
    if fingerprint != claim.fingerprint:
        raise Conflict("This Idempotency-Key was used before, with another request.")
