"""Limits on client connections, so that they cannot use up the file descriptors of the process."""

import asyncio
import logging
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Protocol

from gateway.contract.errors import Overloaded
from gateway.web.http.problems import raw_problem

log = logging.getLogger("sluice.server")

LEAST_RESERVE = 32
RESERVED_SHARE = 4
"""One in RESERVED_SHARE descriptors, at least LEAST_RESERVE, is for model servers, broker and database."""

MAX_SILENT = 256
"""Maximum number of connections of one address that have not sent a whole request yet."""
SILENT_S = 1.0
"""Younger connections do not count as too many: all clients of a proxy may connect at the same moment."""

MAX_PIPELINED = 16
"""Maximum number of requests that wait behind the one being answered. Further ones are not read."""

RETRY_S = 5.0
LOG_EVERY_S = 60.0


class Silent(Protocol):
    """A connection that has not sent a whole request."""

    def abort(self) -> None: ...


class Arrivals:
    """Refuses new connections when descriptors run short, and closes the oldest silent ones of an address.

    Args:
        descriptor_limit: maximum number of files that the process may have open.
        clock: seconds, monotonic.
    """

    def __init__(self, descriptor_limit: int, clock: Callable[[], float]) -> None:
        self._limit = descriptor_limit
        self._highest = descriptor_limit - max(LEAST_RESERVE, descriptor_limit // RESERVED_SHARE)
        self._clock = clock
        # By address: its silent connections, the oldest first, each with the time of its arrival.
        self._silent: dict[str, dict[Silent, float]] = {}
        self._refused = Complaint(clock)
        self._closed = Complaint(clock)

    def admits(
        self, connection: Silent, transport: asyncio.Transport, client: tuple[str, int] | None
    ) -> bool:
        """Register a new connection. Return False if it is refused and closed.

        client: its address; None for one without an address, which always is admitted.
        """
        if client is not None:
            try:
                self.arrive(connection, transport.get_extra_info("socket").fileno(), client[0])
            except Overloaded as error:
                transport.write(raw_problem(error))
                transport.close()  # at once: the descriptors are short
                return False
        return True

    def arrive(self, connection: Silent, descriptor: int, host: str) -> None:
        """Register a new connection, and abort the oldest silent one of its address if there are too many.

        Raises Overloaded if its descriptor is in the reserve. The kernel assigns the lowest free number, so
        the number shows how many descriptors are in use.
        """
        if descriptor >= self._highest:
            self._refused.count(
                "%d connections were refused: this process may have %d files open, and reserves some for "
                "model servers and the database. Raise the limit (LimitNOFILE= or ulimit -n).",
                self._limit,
            )
            raise Overloaded("Too many connections are open: try again later.", retry_after_s=RETRY_S)
        address = _network(host)
        silent = self._silent.setdefault(address, {})
        silent[connection] = now = self._clock()
        if len(silent) > MAX_SILENT:
            oldest = next(iter(silent))
            if now - silent[oldest] >= SILENT_S:
                self.forget(oldest, host)
                oldest.abort()
                self._closed.count(
                    "%d connections were closed: %s has more than %d that have not sent a whole request.",
                    address,
                    MAX_SILENT,
                )

    def forget(self, connection: Silent, host: str) -> None:
        """Remove a connection that has sent a whole request or is closed."""
        address = _network(host)
        silent = self._silent.get(address)
        if silent is not None and silent.pop(connection, None) is not None and not silent:
            del self._silent[address]


class Complaint:
    """Counts events of one kind, and logs a warning with their number at most every LOG_EVERY_S seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._quiet_until = 0.0
        self._count = 0

    def count(self, message: str, *details: object) -> None:
        """Count one event. message: begins with `%d`, the number of events since the last line."""
        self._count += 1
        if self._clock() >= self._quiet_until:
            log.warning(message, self._count, *details)
            self._count = 0
            self._quiet_until = self._clock() + LOG_EVERY_S


def _network(host: str) -> str:
    """The address that counts as one client: an IPv4 address, or the /64 network of an IPv6 address."""
    if ":" not in host:
        return host
    address = IPv6Address(host.partition("%")[0])
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64))
