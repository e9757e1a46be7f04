"""Limits how many large bodies of a user are in memory at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway.contract.errors import LimitExceeded

PLACES = 8
"""Maximum number of bodies of a user that are read at the same time, apart from the beginning of each."""

RETRY_S = 2.0

Leave = Callable[[], None]
TakePlace = Callable[[], Awaitable[Leave]]


@dataclass(slots=True)
class _Bodies:
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PLACES))
    known: int = 0
    """Those that are read, and those that wait."""


class BodyPlaces:
    """The large bodies that arrive, and the attachments that are read from the database, by user.

    A user can send a body slowly, and a compressed one of 32 MiB is small: many that never end would fill the
    memory. So is a message that names attachments, and many would occupy all readers of the database.
    """

    def __init__(self) -> None:
        self._by_user: dict[str, _Bodies] = {}

    async def take(self, user_id: str, within_s: float) -> Leave:
        """Wait for a place until another body of the user is whole. Call the result when this one is.

        Raises LimitExceeded after `within_s` seconds.
        """
        bodies = self._by_user.setdefault(user_id, _Bodies())
        bodies.known += 1
        try:
            async with asyncio.timeout(within_s):
                await bodies.places.acquire()
        except BaseException as error:
            self._forget(user_id, bodies)
            if not isinstance(error, TimeoutError):
                raise
            raise LimitExceeded(
                f"{PLACES} large bodies of this user are on their way: send and load them one by one.",
                retry_after_s=RETRY_S,
            ) from None

        def leave() -> None:
            bodies.places.release()
            self._forget(user_id, bodies)

        return leave

    def __len__(self) -> int:
        """Number of bodies that are read or wait."""
        return sum(bodies.known for bodies in self._by_user.values())

    def _forget(self, user_id: str, bodies: _Bodies) -> None:
        bodies.known -= 1
        if not bodies.known:
            del self._by_user[user_id]
