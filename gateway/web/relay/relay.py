"""Answers requests whose reply runs in another gateway."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection

from gateway.contract.errors import GatewayError, Unreachable
from gateway.contract.reply_owners import ReplyOwner, ReplyOwners
from gateway.web.door.callers import caller_of
from gateway.web.http.asgi import Connection, Scope, Send, connection_of
from gateway.web.http.departures import unless_gone
from gateway.web.relay.absent_owners import AbsentOwners
from gateway.web.relay.owner_client import MISDIRECTED, OwnerClient
from gateway.web.relay.owner_connection import ByOwner
from gateway.web.relay.owner_replies import OwnerReplies
from gateway.web.relay.seal import RELAYED, RelaySeal

WAIT_S = 8.0
"""Seconds to wait for an owner that answers: a dead one is replaced within five."""

FIRST_PAUSE_S, MAX_PAUSE_S = 0.05, 1.0
"""Range of the pauses between attempts, in seconds. They double, and are shortened at random by up to half,
so that many readers spread."""


class RunsElsewhere(Exception):
    """The reply of the request runs, but not in this gateway. It is raised before the response begins; the
    request has changed nothing and may be handled again.

    owner: None if the reply has just ended or changed its owner.
    """

    def __init__(self, owner: ReplyOwner | None) -> None:
        super().__init__()
        self.owner = owner


class NotTheOwner(GatewayError):
    """Another gateway relayed a request to this one, which does not make the reply. The other one looks
    again; no client gets this answer."""

    code = "not_the_owner"
    status = MISDIRECTED


class Relay:
    """Sends requests to the gateway that makes their reply, and waits while none does.

    Args:
        owners: of running replies.
        silence_s: seconds without a byte after which an owner's stream is cut.
        whole_s: the same for a whole reply.
        now: see RelaySeal.

    Attributes:
        seal: signs requests to other gateways, and verifies theirs.
        client: of other gateways.
        replies: of other gateways.
        absent: owners that do not answer.
    """

    def __init__(
        self, owners: ReplyOwners, silence_s: float, whole_s: float, now: Callable[[], float]
    ) -> None:
        self.owners = owners
        self.seal = RelaySeal(now)
        self.client = OwnerClient(silence_s, whole_s)
        self._dead: set[str] = set()
        self.replies = OwnerReplies(owners, self.seal, silence_s, self._dead)
        self.absent = AbsentOwners()
        self._attempts: ByOwner[_Attempt] = ByOwner()

    async def answer(
        self,
        owner: ReplyOwner | None,
        scope: Scope,
        send: Send,
        body: bytes,
        handle_here: Callable[[], Awaitable[None]],
    ) -> None:
        """Answer a request whose handler raised RunsElsewhere, or return if its client disconnects.

        Raises NotTheOwner if another gateway relayed it to this one, Unreachable if no owner answers within
        WAIT_S.

        Args:
            owner: of the exception.
            scope: of the request.
            send: of the request.
            body: of the request, decoded.
            handle_here: handles the request again. What it raises is raised, except RunsElsewhere.
        """
        if scope.get(RELAYED):
            raise NotTheOwner("The reply is not made by this gateway, or not any more.")
        loop, client = asyncio.get_running_loop(), connection_of(scope)
        give_up, pause_s = loop.time() + WAIT_S, FIRST_PAUSE_S
        while True:
            if (
                owner is not None
                and owner.url is not None
                and not owner.is_me
                and owner.name not in self._dead
            ):
                attempt = _Attempt(client)
                headers = self.seal.headers(scope, caller_of(scope))
                answer = self.client.pass_on(owner.url, scope, headers, body, send, attempt.begin)
                with self._attempts.noted(owner.name, attempt):
                    answered = await attempt.result(answer)
                if answered is None:
                    return
                if answered:
                    self.absent.answered(owner)
                    return
                self.absent.failed(owner)
            if loop.time() >= give_up:
                raise _owner_away(owner)
            if not await unless_gone(client, _pause(pause_s)):
                return
            pause_s = min(2 * pause_s, MAX_PAUSE_S)
            try:
                await handle_here()
            except RunsElsewhere as found:
                owner = found.owner
            else:
                return

    def revive(self, owners: Collection[str]) -> None:
        """These gateways live, and may have been cut before."""
        self._dead.difference_update(owners)

    def cut(self, owners: Collection[str]) -> None:
        """End the requests to these gateways, which do not live any more, and begin none until they are
        revived. They may be frozen: then they take connections and do not answer."""
        self._dead.update(owners)
        self.replies.cut(owners)
        self.absent.forget(owners)
        for attempt in self._attempts.of(owners):
            attempt.cut()


class _Attempt:
    """One request to an owner, for a client."""

    def __init__(self, client: Connection) -> None:
        self._client = client
        self._patience = asyncio.timeout(None)
        self._has_begun = False

    def begin(self) -> None:
        """The owner has answered."""
        self._has_begun = True

    async def result(self, answer: Awaitable[bool]) -> bool | None:
        """Return the answer: None if the client disconnects, False if the attempt is cut before it begins."""
        try:
            async with self._patience:
                return await unless_gone(self._client, answer)
        except TimeoutError:
            if not self._patience.expired():
                raise
            if self._has_begun:  # between the cut and its effect
                self._client.abort()
            return self._has_begun

    def cut(self) -> None:
        """Disconnect the client. One that has no answer yet waits for the next owner: a proxy in between
        would take this gateway for dead."""
        if self._has_begun:
            self._client.abort()
        else:
            self._patience.reschedule(asyncio.get_running_loop().time())


async def _pause(seconds: float) -> bool:
    await asyncio.sleep(seconds * random.uniform(0.5, 1))
    return True


def _owner_away(owner: ReplyOwner | None) -> Unreachable:
    name = "another gateway" if owner is None else f"gateway {owner.name.partition('/')[0]}"
    where = "" if owner is None or owner.url is None else f" at its INTERNAL_URL {owner.url}"
    return Unreachable(f"The reply is made by {name}, which does not answer{where}.", retry_after_s=2)
