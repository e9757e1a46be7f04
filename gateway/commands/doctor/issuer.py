"""Checks that the issuer of tokens publishes its configuration and keys."""

from collections.abc import Sequence

from gateway.commands.doctor.findings import Finding, failure, ok, skipped
from gateway.settings import Settings


async def issuer(settings: Settings) -> Sequence[Finding]:
    """Read the keys, as the gateway does for its first token."""
    if not settings.issuer_url:
        return [skipped("ISSUER_URL is empty: no tokens, only API keys")]
    try:
        from gateway.issuer.discovery import CONFIGURATION, Discovery, DiscoveryFailed
        from gateway.issuer.token_rules import suffix_of
    except ModuleNotFoundError as error:
        return [
            failure(f"ISSUER_URL needs the package {error.name}", "pip install 'sluice-gateway[jwt]'"),
        ]
    url = settings.issuer_url
    try:
        published = await Discovery(url).keys()
    except DiscoveryFailed as error:
        fix = f"curl -i {url.removesuffix('/')}{CONFIGURATION}, and set ISSUER_URL to exactly its issuer"
        if "certificate verify failed" in str(error):
            fix = "SSL_CERT_FILE=… in the environment: a PEM file with the authority of its certificate"
        return [failure(f"ISSUER_URL={url}: {error}", fix)]
    return [ok(f"{url} has {len(published.keys)} keys; the names of its users end with {suffix_of(url)}")]
