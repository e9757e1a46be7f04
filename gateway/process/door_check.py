"""Refuses a start at which other machines could connect without a key."""

from gateway.configured_store import store_of
from gateway.contract.errors import StorageFailed
from gateway.settings import LOOPBACK, Settings, SettingsError


async def check_door(settings: Settings) -> None:
    """Raise SettingsError if other machines can connect and no API key or token is required."""
    if settings.host in LOOPBACK or settings.allow_open or settings.issuer_url:
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
    raise SettingsError(f"HOST={settings.host} {wrong}")
