"""Refuses a start at which other machines could connect without a key."""

from urllib.parse import urlsplit

from gateway.configured_store import store_of
from gateway.contract.errors import StorageFailed
from gateway.settings import LOOPBACK, CannotStart, Settings, SettingsError


def admits_others(settings: Settings) -> tuple[str, str] | None:
    """Return a setting and its host at which other machines can connect, if a key is required for that."""
    named = {"HOST": settings.host, "INTERNAL_URL": urlsplit(settings.internal_url).hostname or "127.0.0.1"}
    reachable = [(name, host) for name, host in named.items() if host not in LOOPBACK]
    return reachable[0] if reachable and not (settings.allow_open or settings.issuer_url) else None


async def check_door(settings: Settings) -> None:
    """Raise SettingsError if other machines can connect and no API key or token is required, and CannotStart
    if the database is away that has the keys."""
    admitting = admits_others(settings)
    if admitting is None:
        return
    name, host = admitting
    store, away = store_of(settings), None
    try:
        async with store.running(alone=False):
            if (await store.keys.census()).made:
                return
    except* StorageFailed as failures:
        away = failures.exceptions[0]  # raised here, the error would be in an exception group
    if away is not None:
        raise CannotStart(f"{name}={host} needs API keys, and they cannot be checked: {away}")
    raise SettingsError(
        f"{name}={host} would admit other machines without an API key: create one with `sluice keys create`, "
        "use a loopback address, or, if a proxy authenticates, set ALLOW_OPEN=1 and ALLOWED_HOSTS to its "
        "host names"
    )
