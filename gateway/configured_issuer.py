"""Builds the verification of tokens from the settings."""

from gateway.contract.identities import Identities
from gateway.settings import Settings, SettingsError


def identities_of(settings: Settings) -> Identities | None:
    """Return the users of ISSUER_URL; None if it is empty. Raises SettingsError if a package is missing."""
    if not settings.issuer_url:
        return None
    try:
        from gateway.issuer.discovery import Discovery
        from gateway.issuer.issued_identities import IssuedIdentities
        from gateway.issuer.key_cache import KeyCache
        from gateway.issuer.token_rules import TokenRules
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"ISSUER_URL needs the package {error.name}: pip install 'sluice-gateway[jwt]'"
        ) from None
    rules = TokenRules(settings.issuer_url, settings.issuer_audience, settings.issuer_scopes_claim)
    return IssuedIdentities(KeyCache(Discovery(settings.issuer_url).keys), rules)
