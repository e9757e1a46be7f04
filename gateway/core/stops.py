"""Stops replies, also those that another gateway produces."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from gateway.contract.access import Access
from gateway.contract.errors import NotFound, Unavailable
from gateway.contract.events import Status
from gateway.contract.signals import Body, Signals
from gateway.contract.store import MessageStore, StoredMessage
from gateway.core.run import USER_STOP
from gateway.core.runs import Runs

TOPIC = "stop"
PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Pauses in seconds after which the reply is read again. They are longer than the adoption of a reply whose
gateway has died, and the signal is repeated after each, because a signal may be lost."""


class Stops:
    def __init__(
        self,
        runs: Runs,
        store: MessageStore,
        access: Access,
        signals: Signals,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._runs = runs
        self._store = store
        self._access = access
        self._signals = signals
        self._sleep = sleep
        signals.on(TOPIC, self._hear)

    async def stop(self, stream_id: str, user_id: str) -> tuple[Status, str | None]:
        """Stop a reply, and return its status and reason when its end is stored.

        Raises NotFound for an unknown stream and for a user who may only read it, Unavailable if the
        gateway that produces it does not stop it.
        """
        try:
            outcome = await self._runs.stop(stream_id, user_id)
        except NotFound:
            reply = await self._stoppable(stream_id, user_id)
        else:
            return outcome.status, outcome.reason
        for pause_s in PAUSES_S:
            if reply.status != "streaming":
                break
            self._signals.send(TOPIC, {"stream": stream_id, "user": user_id})
            await self._sleep(pause_s)
            reply = await self._store.reply(user_id, stream_id)
        if reply.status == "streaming":
            raise Unavailable("The gateway that produces the reply does not answer: repeat the stop.")
        return reply.status, reply.reason

    async def _stoppable(self, stream_id: str, user_id: str) -> StoredMessage:
        reply = await self._store.reply(user_id, stream_id)
        session = await self._store.session(user_id, reply.session_id)
        if not self._access.may_write(user_id, session.user_id, session.id):
            raise NotFound("No such stream.")
        return reply

    def _hear(self, body: Body) -> None:
        with suppress(NotFound):
            self._runs.find(str(body.get("stream")), str(body.get("user")), to_stop=True).settle(USER_STOP)
