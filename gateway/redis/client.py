"""One connection to Redis, over which groups of commands are sent. The only file that uses the library."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from gateway.contract.secrets import without_secrets
from gateway.redis.link import Command, RedisAway


class RedisClient:
    """Implements gateway.redis.link.Client. It connects at the first command, and again after a failure.

    url: of REDIS_URL. Raises ValueError if it is not valid.
    """

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(url, max_connections=1, retry=Retry(NoBackoff(), 0))

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        try:
            replies: list[Any] = await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            raise RedisAway(without_secrets(str(error))) from error
        refused = next((reply for reply in replies if isinstance(reply, ResponseError)), None)
        if refused is not None:
            raise RedisAway(f"it refuses commands: {without_secrets(str(refused))}")
        return replies

    async def close(self) -> None:
        with suppress(RedisError, OSError):
            await self._redis.aclose()
