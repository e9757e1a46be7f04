"""Users that an issuer vouches for with signed tokens (JWTs), and the interface that verifies the tokens."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from gateway.contract.errors import Forbidden, GatewayError, Unauthorized
from gateway.contract.keys import Permission


class InvalidToken(Unauthorized):
    """The token is malformed, forged, expired, or not for this gateway.

    Its message contains nothing of the token, only ASCII, and neither quotes nor backslashes: it is also
    sent in a header.
    """

    code: ClassVar[str] = "invalid_token"

    @property
    def challenge(self) -> str:
        """The value of `WWW-Authenticate`. Source: RFC 6750, 3."""
        return f'Bearer error="{self.code}", error_description="{self}"'


class InsufficientScope(Forbidden):
    """The token is valid and has none of these scopes."""

    code: ClassVar[str] = "insufficient_scope"

    def __init__(self, scopes: Iterable[Permission]) -> None:
        self.scopes = sorted(scopes)
        super().__init__(f"The token lacks the scope {' or '.join(self.scopes)}.")

    @property
    def challenge(self) -> str:
        """The value of `WWW-Authenticate`. Source: RFC 6750, 3."""
        return f'Bearer error="{self.code}", scope="{" ".join(self.scopes)}"'


class IssuerUnavailable(GatewayError):
    """The issuer's keys could not be read, and none are known from before."""

    code = "issuer_unavailable"
    status = 503
    retryable = True


@dataclass(frozen=True, slots=True)
class Identity:
    """The owner of a verified token.

    Attributes:
        user_id: the account. It contains a colon, so it is never the user of an API key, nor `local`.
        permissions: the endpoints that it may use; may be empty.
        expires_at: time at which the token expires, in seconds since the epoch.
    """

    user_id: str
    permissions: frozenset[Permission]
    expires_at: float


class Identities(Protocol):
    """The users of one issuer."""

    async def identity_of(self, token: str) -> Identity:
        """Return the token's owner. Raises InvalidToken or IssuerUnavailable."""
        ...

    def stands(self, user_id: str, expires_at: float) -> bool:
        """True if the user is the issuer's, and `expires_at` (seconds since the epoch) is in the future."""
        ...

    async def run(self) -> None:
        """Read the issuer's keys whenever they are needed, until cancelled."""
        ...
