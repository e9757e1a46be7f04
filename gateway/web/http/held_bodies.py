"""Limits the bytes of large request bodies in memory, from their arrival until the request is answered."""

import asyncio
from collections import Counter
from dataclasses import dataclass

from gateway.contract.errors import GatewayError, LimitExceeded, Overloaded

USER_BYTES = 128 * 1024 * 1024
"""Of one user together: four of the page's uploads at once, or four bodies of 32 MiB."""
COPIES = 6
"""All bodies together may have the memory's COPIESth part: a body takes about five times its size while it is
read, stored and sent on."""

RETRY_S = 2.0


@dataclass(eq=False, slots=True)
class HeldBody:
    """The bytes of one request's body, counted until `leave`."""

    bodies: "HeldBodies"
    user_id: str
    size: int

    def shrink(self, size: int) -> None:
        """Count only so many bytes from now on: the body turned out smaller than it could be."""
        self.bodies.count(self.user_id, size - self.size)
        self.size = size

    def leave(self) -> None:
        self.shrink(0)


class HeldBodies:
    """Counts the bytes. A body that is larger than a limit fits if there is no other one."""

    def __init__(self, user_bytes: int = USER_BYTES, all_bytes: int = 192 * 1024 * 1024) -> None:
        self.user_bytes = user_bytes
        self.all_bytes = all_bytes
        self._by_user: Counter[str] = Counter()
        self._waiting: dict[asyncio.Future[None], None] = {}  # in the order of their arrival

    @property
    def total(self) -> int:
        return self._by_user.total()

    async def take(self, user_id: str, size: int, within_s: float) -> HeldBody:
        """Wait until the body fits. After `within_s` seconds, raises LimitExceeded if those of the user are
        too large together, else Overloaded."""
        try:
            async with asyncio.timeout(within_s):
                while self._refusal(user_id, size) is not None:
                    await self._change()
        except TimeoutError:
            raise self._refusal(user_id, size) or _overloaded() from None
        self.count(user_id, size)
        return HeldBody(self, user_id, size)

    def count(self, user_id: str, more: int) -> None:
        self._by_user[user_id] += more
        if not self._by_user[user_id]:
            del self._by_user[user_id]
        if more < 0:
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)

    def _refusal(self, user_id: str, size: int) -> GatewayError | None:
        users = self._by_user[user_id]
        if users and users + size > self.user_bytes:
            return LimitExceeded(
                "Large requests of this user are being answered: wait for one to end.", retry_after_s=RETRY_S
            )
        return _overloaded() if self.total and self.total + size > self.all_bytes else None

    async def _change(self) -> None:
        change = asyncio.get_running_loop().create_future()
        self._waiting[change] = None
        try:
            await change
        finally:
            del self._waiting[change]


def _overloaded() -> Overloaded:
    return Overloaded(
        "As many large requests are being answered as the gateway has memory for. Try again in a moment.",
        retry_after_s=RETRY_S,
    )
