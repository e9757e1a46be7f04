"""Idempotency keys: the same question again, even at the same moment, never makes a second reply."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.contract.errors import Conflict
from gateway.contract.store import IdempotencyClaim, MessageStore


@dataclass(frozen=True, slots=True)
class _Pending:
    fingerprint: str
    stream_id: asyncio.Future[str]


class Idempotency:
    def __init__(self, store: MessageStore) -> None:
        self._store = store
        self._pending: dict[tuple[str, str], _Pending] = {}

    async def once(self, user_id: str, claim: IdempotencyClaim, begin: Callable[[], Awaitable[str]]) -> str:
        """The stream of this key: the one that is there, or the one that `begin` starts.

        Whoever comes while another is beginning waits for that one, and hears its error if it fails. Conflict
        if the key was used with something else.
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
            mine.stream_id.exception()  # Whether anybody waits for it or not, it has been seen.
            raise
        else:
            mine.stream_id.set_result(stream_id)
            return stream_id
        finally:
            mine.stream_id.cancel()
            del self._pending[place]

    async def existing(self, user_id: str, claim: IdempotencyClaim) -> str | None:
        """The stream of this key, also one that is just beginning; None if the key was not used.

        Conflict if the key was used with something else.
        """
        return await self._being_begun(user_id, claim) or await self._find(user_id, claim)

    async def _being_begun(self, user_id: str, claim: IdempotencyClaim) -> str | None:
        """Wait for the caller that is beginning with this key, if there is one."""
        while (pending := self._pending.get((user_id, claim.key))) is not None:
            _check(pending.fingerprint, claim)
            try:
                return await asyncio.shield(pending.stream_id)
            except asyncio.CancelledError:
                if not pending.stream_id.cancelled():
                    raise  # We were cancelled, not the one who was beginning.
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
