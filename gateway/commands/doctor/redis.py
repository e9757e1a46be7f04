"""Checks that the Redis of REDIS_URL runs scripts, by which the gateways count."""

import asyncio
from collections.abc import Sequence

from gateway.commands.doctor.findings import Finding, failure, ok, skipped, warning
from gateway.contract.server_urls import without_password
from gateway.settings import Settings

WITHIN_S = 3.0


async def redis(settings: Settings) -> Sequence[Finding]:
    """Run a script that changes nothing."""
    if not settings.redis_url:
        return [skipped("REDIS_URL is empty: each gateway allows its share of a limit")]
    try:
        from gateway.redis.client import RedisClient
        from gateway.redis.link import RedisAway
    except ModuleNotFoundError as error:
        return [failure(f"REDIS_URL needs the package {error.name}", "pip install 'sluice-gateway[cluster]'")]
    shown = without_password(settings.redis_url)
    closed = settings.limits_without_redis == "closed"
    client = RedisClient(settings.redis_url)
    try:
        async with asyncio.timeout(WITHIN_S):
            await client.execute([("EVAL", "return redis.call('TIME')", 0)])
    except (RedisAway, TimeoutError) as error:
        why = str(error) or f"it does not answer within {WITHIN_S:g} s"
        effect = "requests with limits are refused" if closed else "each gateway allows its share of a limit"
        fix = f"redis-cli -u {shown} ping, and correct REDIS_URL or start the server"
        return [(failure if closed else warning)(f"REDIS_URL={shown} is away, {effect}: {why}", fix)]
    finally:
        await client.close()
    return [ok(f"{shown} counts requests and streams for all gateways")]
