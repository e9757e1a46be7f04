"""Stops replies, also those that another gateway produces."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from gateway.contract.access import Access
from gateway.contract.errors import NotFound, Unavailable
from gateway.contract.events import Status
from gateway.contract.reply_owners import ReplyOwners
from gateway.contract.signals import Body, Signals
from gateway.contract.store import MessageStore, StoredMessage, StoredSession
from gateway.core.run import GOES_ON_ELSEWHERE, USER_STOP
from gateway.core.runs import Runs

TOPIC = "stop"
PAUSES_S = (0.05, 0.1, 0.2, 0.4, *[0.8] * 9)
"""Pauses in seconds after which the reply is read again. Together they are longer than the takeover of a
reply whose gateway has died, which takes up to 5 s. The signal is sent again after each: it may be lost, and
the next owner does not know the earlier ones."""


class Stops:
    """owners: of running replies; None if no other gateway can make any."""

    def __init__(
        self,
        runs: Runs,
        store: MessageStore,
        access: Access,
        signals: Signals,
        owners: ReplyOwners | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._runs = runs
        self._store = store
        self._access = access
        self._signals = signals
        self._owners = owners
        self._sleep = sleep
        signals.on(TOPIC, self._hear)

    async def stop(self, stream_id: str, user_id: str) -> tuple[Status, str | None]:
        """Stop a reply, and return its status and reason when its end is stored.

        Raises NotFound for an unknown stream and for a user who may only read it, Unavailable if the
        gateway that produces it does not stop it.
        """
        with suppress(NotFound):
            outcome = await self._runs.stop(stream_id, user_id)
            if outcome not in GOES_ON_ELSEWHERE:
                return outcome.status, outcome.reason
        reply = await self._stoppable(stream_id, user_id)
        for pause_s in PAUSES_S:
            if reply.status != "streaming":
                break
            body = {"stream": stream_id, "user": user_id}
            self._signals.send(TOPIC, body)
            self._hear(body)  # this gateway may have taken the reply over meanwhile
            await self._sleep(pause_s)
            reply = await self._store.reply(user_id, stream_id)
        if reply.status == "streaming":
            raise Unavailable("The gateway that produces the reply does not answer: repeat the stop.")
        return reply.status, reply.reason

    async def stop_session(self, session: StoredSession, user_id: str) -> None:
        """Stop all replies of a session that will be deleted, and return when their ends are stored, or
        their gateway does not answer. Raises NotFound for a user who may not delete it."""
        if not self._access.may_manage(user_id, session.user_id, session.id):
            raise NotFound("No such session.")
        for run in self._runs.of_session(session.id):
            await self._runs.end(run)
        for reply in () if self._owners is None else await self._owners.elsewhere(session.id):
            with suppress(NotFound, Unavailable):
                await self.stop(reply.stream_id, user_id)

    async def _stoppable(self, stream_id: str, user_id: str) -> StoredMessage:
        reply = await self._store.reply(user_id, stream_id)
        session = await self._store.session(user_id, reply.session_id)
        if not self._access.may_write(user_id, session.user_id, session.id):
            raise NotFound("No such stream.")
        return reply

    def _hear(self, body: Body) -> None:
        with suppress(NotFound):
            self._runs.find(str(body.get("stream")), str(body.get("user")), to_stop=True).settle(USER_STOP)
