"""Verifies tokens (JWTs) of an issuer, with keys that it publishes. Needs the extra `[jwt]`."""
