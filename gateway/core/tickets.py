"""Tickets let an EventSource, which cannot send headers, read one stream of events as one user."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable

from gateway.contract.errors import Forbidden


class BadTicket(Forbidden):
    code = "bad_ticket"


class Tickets:
    """secret: of this gateway, or of all that share a database; set before the first request.

    lifetime_s: how long a ticket is good. now: seconds since the epoch.
    """

    def __init__(self, secret: bytes, lifetime_s: float, now: Callable[[], float]) -> None:
        self.secret = secret
        self.lifetime_s = lifetime_s
        self._now = now

    def issue(self, subject: str, user_id: str) -> str:
        """A ticket to read `subject` (a stream's id, say) as this user: expiry, user and seal, URL-safe."""
        claim = f"{int(self._now() + self.lifetime_s)}.{_encode(user_id.encode())}"
        return f"{claim}.{self._seal(subject, claim)}"

    def user_of(self, ticket: str, subject: str) -> str:
        """Whom a ticket for `subject` lets in; BadTicket if it is forged, expired or for something else."""
        claim, _, seal = ticket.rpartition(".")
        expiry, _, user = claim.partition(".")
        if not hmac.compare_digest(seal.encode(), self._seal(subject, claim).encode()):
            raise BadTicket("The ticket is not one of ours, or not for this.")
        if int(expiry) < self._now():
            raise BadTicket("The ticket has expired.")
        try:
            return base64.urlsafe_b64decode(user + "=" * (-len(user) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise BadTicket("The ticket is not one of ours.") from error

    def _seal(self, subject: str, claim: str) -> str:
        message = f"{subject}.{claim}".encode()
        return _encode(hmac.new(self.secret, message, hashlib.sha256).digest())


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
