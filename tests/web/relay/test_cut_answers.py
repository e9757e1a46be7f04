"""An owner that is found dead at the moment at which its answer begins."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from gateway.contract.reply_owners import ReplyOwner
from gateway.core.key_ring import Caller
from gateway.web.door.callers import CALLER
from gateway.web.http.asgi import CONNECTION, ConnectionWatcher, Scope
from gateway.web.relay.relay import Relay


class Client:
    """The connection of a client that stays until it is cut off."""

    writable = True
    is_cut = False

    def write_chunk(self, body: bytes) -> None: ...

    def abort(self) -> None:
        self.is_cut = True

    def watch(self, watcher: ConnectionWatcher | None) -> None: ...


class ThawedOwner:
    """Begins its answer after it was found dead, and before the request to it has ended."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    async def pass_on(self, *request: Any) -> bool:
        begin: Callable[[], None] = request[-1]
        self._relay.cut(["third/1"])
        begin()
        await asyncio.Event().wait()
        return True


async def test_a_client_never_gets_a_second_response() -> None:
    client, relay = Client(), Relay(None, 60, 60, time.time)  # type: ignore[arg-type]
    relay.seal.set_secret(b"secret")
    relay.client = ThawedOwner(relay)  # type: ignore[assignment]
    scope: Scope = {"method": "GET", "path": "/", "query_string": b"", "extensions": {CONNECTION: client}}
    scope[CALLER] = Caller("anna")
    handled_again = False

    async def send(_: object) -> None: ...

    async def handle_here() -> None:
        nonlocal handled_again
        handled_again = True

    async with asyncio.timeout(30):
        await relay.answer(ReplyOwner("third/1", "http://third", False), scope, send, b"", handle_here)
    assert (client.is_cut, handled_again) == (True, False)
