"""Sends commands to Redis in groups, one after the other, and notices when Redis is away."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

from gateway.contract.secrets import without_secrets
from gateway.redis.scripts import RENEW

log = logging.getLogger("sluice.limits")

TIMEOUT_S = 0.5
"""Maximum seconds for connecting to Redis, sending a group of commands and receiving its replies."""
EVERY_S = 1.0
"""Seconds between two renewals of this gateway's lease, and between two attempts while Redis is away."""
LEASE_S = 5.0
"""Seconds after the last renewal for which Redis counts a gateway's streams."""
MAX_GROUP = 500
"""Maximum number of commands in a group."""

Command = tuple[str | bytes | int, ...]
Settle = Callable[[Any], None]
"""Called with the reply to a command, before the next group is sent."""


class RedisAway(Exception):
    """Redis cannot be reached, does not answer within TIMEOUT_S, or refuses commands. str(): why, without
    secrets."""


class Client(Protocol):
    """A connection to Redis."""

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one piece and return their replies. Raises RedisAway; then any of them may have
        been carried out. Cancelling it closes the connection."""
        ...

    async def close(self) -> None: ...


class Counter(Protocol):
    """It keeps numbers in Redis that must be as they are in this gateway."""

    def changed(self, most: int) -> Sequence[Command]:
        """Return at most this many commands that store changed numbers, and count them as stored."""
        ...

    def forget_stored(self) -> None:
        """Redis may not have the numbers: `changed` must return them again, and those of its last call."""
        ...


class RedisLink:
    """Commands that arrive while a group is under way form the next group: however many requests there are,
    one connection is enough, and the commands are carried out in their order.

    Args:
        prefix: of all keys of this cluster; set it before `running`.
        name: of this gateway, unique in the cluster.
        clock: seconds, monotonic.

    Attributes:
        away: True while Redis cannot be used.
    """

    def __init__(
        self, client: Client, name: str, prefix: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._clock = clock
        self.name = name
        self.prefix = prefix
        self.away = True
        self.counters: list[Counter] = []
        self._waiting: list[tuple[Command, Settle, asyncio.Future[Any]]] = []
        self._sent: list[tuple[Command, Settle, asyncio.Future[Any]]] = []
        self._called = asyncio.Event()
        self._renew_at = 0.0
        self._told: str | None = ""

    @property
    def leases(self) -> str:
        return f"{self.prefix}gateways"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send commands during the block. Redis may be away."""
        await self._group()
        try:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._send())
                try:
                    yield
                finally:
                    sending.cancel()
        finally:
            self._fail_waiting(RedisAway("the gateway is stopping"))
            if not self.away:
                self.away = True
                with suppress(TimeoutError, RedisAway):
                    async with asyncio.timeout(TIMEOUT_S):
                        await self._client.execute([("ZREM", self.leases, self.name)])
            await self._client.close()

    async def call(self, command: Command, settle: Settle = lambda reply: None) -> Any:
        """Return the reply to a command. Raises RedisAway, at the latest when the present group and this one
        have had their time.

        settle: also called if the caller was cancelled.
        """
        if self.away:
            raise RedisAway("it is away")
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, settle, reply))
        self._called.set()
        return await reply

    def wake(self) -> None:
        """Send changed numbers soon."""
        self._called.set()

    async def _send(self) -> None:
        while True:
            if not self._called.is_set() or self.away:
                await self._until_renewal()
            self._called.clear()
            await self._group()

    async def _until_renewal(self) -> None:
        try:
            async with asyncio.timeout(max(0.0, self._renew_at - self._clock())):
                await (asyncio.Event() if self.away else self._called).wait()
        except TimeoutError:
            pass

    async def _group(self) -> None:
        """Send one group: the renewal if it is due, changed numbers, and waiting calls."""
        wanted = [call for call in self._waiting if not call[2].cancelled()]
        self._sent, self._waiting = wanted[:MAX_GROUP], wanted[MAX_GROUP:]
        commands: list[Command] = []
        is_renewal = self._clock() >= self._renew_at
        if is_renewal:
            self._renew_at = self._clock() + EVERY_S
            commands.append(("EVAL", RENEW, 1, self.leases, self.name, int(1000 * LEASE_S)))
        for counter in self.counters:
            commands += counter.changed(MAX_GROUP - len(commands))
        at = len(commands)
        commands += [command for command, _, _ in self._sent]
        if not commands:
            return
        try:
            async with asyncio.timeout(TIMEOUT_S):
                replies = await self._client.execute(commands)
        except TimeoutError:
            self._lose(RedisAway(f"it does not answer within {TIMEOUT_S:g} s"))
            return
        except RedisAway as error:
            self._lose(error)
            return
        except Exception as error:  # noqa: BLE001  _lose logs it; a fault of the library must not end the gateway
            self._lose(RedisAway(f"{type(error).__name__}: {without_secrets(str(error))}"), is_bug=True)
            return
        calls, self._sent = self._sent, []
        for (_, settle, future), reply in zip(calls, replies[at:], strict=True):
            settle(reply)
            if not future.done():
                future.set_result(reply)
        if self.away or (is_renewal and replies[0]):
            self._found()
        if self._waiting or len(commands) >= MAX_GROUP:
            self._called.set()

    def _lose(self, why: RedisAway, *, is_bug: bool = False) -> None:
        self.away = True
        self._fail_waiting(why)
        for counter in self.counters:
            counter.forget_stored()
        if self._told != str(why):
            self._told = str(why)
            log.warning("Redis is away, limits are not exact: %s", why, exc_info=is_bug)

    def _fail_waiting(self, why: RedisAway) -> None:
        failed, self._sent, self._waiting = self._sent + self._waiting, [], []
        for _, _, future in failed:
            if not future.done():
                future.set_exception(RedisAway(str(why)))

    def _found(self) -> None:
        if self.away:
            self.away = False
            log.info("Redis answers: limits are exact")
        self._told = None
        for counter in self.counters:
            counter.forget_stored()
        self._called.set()
