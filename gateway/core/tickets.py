"""Tickets authenticate an EventSource, which cannot send headers, for one stream of events."""

import base64
import hmac
import re
from collections.abc import Callable
from typing import NamedTuple

from gateway.contract.errors import Forbidden

_TICKET = re.compile(
    r"(?P<claim>(?P<expiry>[0-9]{1,15})\.(?P<user>[A-Za-z0-9_-]*)(~(?P<key>[0-9]{1,18}))?)"
    r"\.(?P<seal>[A-Za-z0-9_-]{43})"
)


class BadTicket(Forbidden):
    code = "bad_ticket"


class Ticket(NamedTuple):
    """A valid ticket.

    Attributes:
        expires_at: seconds since the epoch.
        key_id: the API key whose limits apply to its requests; None for those of the user.
    """

    user_id: str
    expires_at: int
    key_id: int | None = None


class Tickets:
    """Issues and checks tickets.

    Args:
        secret: key of the signature, equal for all gateways on one database; set before the first request.
        lifetime_s: seconds that a ticket is valid.
        now: returns seconds since the epoch.
    """

    def __init__(self, secret: bytes, lifetime_s: float, now: Callable[[], float]) -> None:
        self.secret = secret
        self.lifetime_s = lifetime_s
        self._now = now

    def issue(
        self, subject: str, user_id: str, key_id: int | None = None, *, lifetime_s: float | None = None
    ) -> str:
        """Return a URL-safe ticket for `subject` (for example a stream's id): expiry, user, key and
        signature. lifetime_s: None for that of all tickets."""
        key = "" if key_id is None else f"~{key_id}"
        claim = f"{int(self._now() + (lifetime_s or self.lifetime_s))}.{_encode(user_id.encode())}{key}"
        return f"{claim}.{self._seal(subject, claim)}"

    def valid(self, ticket: str, subject: str) -> Ticket:
        """Return what a ticket says for `subject`. Raises BadTicket if it is forged, expired or for
        another subject."""
        parts = _TICKET.fullmatch(ticket)
        if parts is None or not hmac.compare_digest(parts["seal"], self._seal(subject, parts["claim"])):
            raise BadTicket("The ticket is not valid for this stream or session.")
        if int(parts["expiry"]) < self._now():
            raise BadTicket("The ticket has expired.")
        user = parts["user"]
        user_id = base64.urlsafe_b64decode(user + "=" * (-len(user) % 4)).decode()
        return Ticket(user_id, int(parts["expiry"]), None if parts["key"] is None else int(parts["key"]))

    def _seal(self, subject: str, claim: str) -> str:
        # The claim contains exactly one dot, so no other pair of claim and subject gives the same message.
        message = f"{claim}.{subject}".encode(errors="surrogatepass")
        return _encode(hmac.digest(self.secret, message, "sha256"))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
