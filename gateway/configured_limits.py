"""Makes what counts requests and streams: the memory of this gateway, or Redis for all gateways together."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from secrets import token_hex

from gateway.contract.limits import Places, Rates
from gateway.core.rate_limits import RequestRates
from gateway.core.stream_places import StreamPlaces
from gateway.settings import Settings, SettingsError


@dataclass(frozen=True, slots=True)
class CountedLimits:
    """The counters of one gateway.

    Attributes:
        rates: requests per minute.
        places: simultaneous replies.
        listeners: other simultaneous streams, such as those of session events.
        running: returns a context manager within which they count.
        connected: returns True while they are counted in Redis; None without REDIS_URL.
    """

    rates: Rates
    places: Places
    listeners: Places
    running: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    connected: Callable[[], bool | None] = lambda: None


def limits_of(settings: Settings, secret: Callable[[str], Awaitable[bytes]]) -> CountedLimits:
    """Raises SettingsError. secret: returns a secret of the database, which keeps clusters apart in Redis."""
    if not settings.redis_url:
        return CountedLimits(RequestRates(), StreamPlaces(), StreamPlaces())
    try:
        from gateway.redis.client import RedisClient
        from gateway.redis.link import RedisLink
        from gateway.redis.places import ExactPlaces
        from gateway.redis.rates import ExactRates

        client = RedisClient(settings.redis_url)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"REDIS_URL needs the package {error.name}: pip install 'sluice-gateway[cluster]'"
        ) from error
    except ValueError as error:
        raise SettingsError(f"REDIS_URL is not allowed: {error}") from error
    link = RedisLink(client, f"{settings.gateway_name}/{token_hex(8)}")
    closed = settings.limits_without_redis == "closed"

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        link.prefix = f"sluice:{{{(await secret('redis')).hex()[:16]}}}:"  # one slot of a Redis Cluster
        async with link.running():
            yield

    return CountedLimits(
        ExactRates(link, None if closed else RequestRates()),
        ExactPlaces(link, "replies", closed=closed),
        ExactPlaces(link, "listeners", closed=closed),
        running,
        lambda: not link.away,
    )
