"""Refuses a start at which other machines could connect without a key."""

from urllib.parse import urlsplit

from gateway.configured_store import store_of
from gateway.contract.errors import StorageFailed
from gateway.settings import LOOPBACK, Settings, SettingsError


async def check_door(settings: Settings) -> None:
    """Raise SettingsError if other machines can connect and no API key or token is required."""
    named = {"HOST": settings.host, "INTERNAL_URL": urlsplit(settings.internal_url).hostname or "127.0.0.1"}
    reachable = {name: host for name, host in named.items() if host not in LOOPBACK}
    if not reachable or settings.allow_open or settings.issuer_url:
        return
    wrong = (
        "would admit other machines without an API key: create one with `sluice keys create`, use a loopback "
        "address, or, if a proxy authenticates, set ALLOW_OPEN=1 and ALLOWED_HOSTS to its host names"
    )
    store = store_of(settings)
    try:
        async with store.running(alone=False):
            if (await store.keys.census()).made:
                return
    except* StorageFailed as failures:
        wrong = f"needs API keys, and they cannot be checked: {failures.exceptions[0]}"
    name, host = next(iter(reachable.items()))
    raise SettingsError(f"{name}={host} {wrong}")
