"""Checks the claims of a token, and maps them to a user and its permissions. Source: RFC 7519, RFC 9068."""

import hashlib
import re
from typing import Any

from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jwt import JWTClaimsRegistry

from gateway.contract.identities import Identity, InvalidToken
from gateway.contract.keys import PERMISSIONS, Permission

LEEWAY_S = 30
"""Allowed difference between the issuer's clock and ours."""

MAX_USER_CHARS = 255
SUFFIX_CHARS = 12

_CHECKED = frozenset({"iss", "aud", "exp", "nbf", "iat", "sub"})
_EXPECTED = {
    "iss": "The token is from another issuer.",
    "aud": "The token is for another audience.",
    "nbf": "The token is not valid yet.",
    "iat": "The token is not valid yet.",
}


def suffix_of(issuer: str) -> str:
    """Return the end of the names of this issuer's users: a colon, which names of key's users do not contain,
    and a digest, because another issuer may give the same `sub` to another person."""
    return f":{hashlib.sha256(issuer.encode()).hexdigest()[:SUFFIX_CHARS]}"


class TokenRules:
    """The rules for the tokens of one issuer.

    Args:
        issuer: the exact value of `iss`.
        audience: the value that `aud` must be or contain.
        scopes_claim: name of the claim with the scopes, or its path with dots; empty: every token has `chat`.
    """

    def __init__(self, issuer: str, audience: str, scopes_claim: str) -> None:
        self.suffix = suffix_of(issuer)
        self._issuer = issuer
        self._audience = audience
        self._scopes_claim = scopes_claim

    def identity_of(self, claims: dict[str, Any], now: float) -> Identity:
        """Return the user and the permissions. Raises InvalidToken. now: seconds since the epoch."""
        registry = JWTClaimsRegistry(
            now=int(now),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        known = {name: value for name, value in claims.items() if name in _CHECKED}
        try:
            registry.validate(known)
        except ExpiredTokenError:
            raise InvalidToken("The token has expired.") from None
        except MissingClaimError:
            raise InvalidToken("The token lacks one of the claims iss, aud, exp and sub.") from None
        except InvalidClaimError as error:
            raise InvalidToken(_EXPECTED.get(error.claim, "The token's claims are not valid.")) from None
        except (JoseError, OverflowError):
            raise InvalidToken("The token's claims are not valid.") from None
        return Identity(self._user_of(claims["sub"]), self._permissions_in(claims), _end_of(claims["exp"]))

    def _user_of(self, sub: str) -> str:
        """Return the name of a user: `sub` with each byte of other characters as `~` and two hex digits.

        Names are parts of session keys, which stand in paths and headers. Different `sub` give different
        names, since `~` itself is escaped.
        """
        try:
            name = re.sub(rb"[^A-Za-z0-9_.@+-]", lambda found: b"~%02X" % found[0][0], sub.encode()).decode()
        except UnicodeEncodeError:
            raise InvalidToken("The token's claims are not valid.") from None
        if not 0 < len(name) <= MAX_USER_CHARS:
            raise InvalidToken("The token's claim sub is too long.")
        return f"{name}{self.suffix}"

    def _permissions_in(self, claims: dict[str, Any]) -> frozenset[Permission]:
        if not self._scopes_claim:
            return frozenset({"chat"})
        told = claims.get(self._scopes_claim)
        if told is None:
            told = claims
            for name in self._scopes_claim.split("."):
                told = told.get(name) if isinstance(told, dict) else None
        scopes = told.split() if isinstance(told, str) else told if isinstance(told, list) else []
        return frozenset(scope for scope in PERMISSIONS if scope in scopes)


def _end_of(exp: float) -> float:
    """Return when a token expires, with the leeway. An integer that is too large for a float is capped."""
    return float(min(exp, 2**53)) + LEEWAY_S
