"""Clients that come by the thousand and join nothing: those of one address do not keep the others out."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.web.door.proxies import TrustedProxies
from gateway.web.socket_io import strangers
from gateway.web.socket_io.strangers import Strangers
from tests.web.gateway_server import served
from tests.web.rooms.members import polling
from tests.web.rooms.test_hostile_members import ANSWER

POLL = "/socket.io/?EIO=4&transport=polling"


@dataclass(eq=False)
class Client:
    address: str | None = "192.0.2.1"
    scope: Any = field(init=False)

    def __post_init__(self) -> None:
        self.scope = {"client": None if self.address is None else (self.address, 1)}


@dataclass
class Door:
    """now: seconds of the clock. closed: the clients that had to go."""

    now: float = 0.0
    closed: list[Client] = field(default_factory=list)

    def strangers(self) -> Strangers[Client]:
        return Strangers(self.closed.append, TrustedProxies().client_of, lambda: self.now)


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "MAX_OF_ADDRESS", 2)
    monkeypatch.setattr(strangers, "MAX_STRANGERS", 4)


def test_the_oldest_of_an_address_with_too_many_is_closed() -> None:
    door = Door()
    waiting, first, other = door.strangers(), Client(), Client("192.0.2.2")
    for client in (first, other, Client()):
        waiting.add(client)
    door.now = 1.0
    waiting.add(Client())
    assert door.closed == [first]


def test_those_that_come_at_the_same_moment_are_not_closed_and_all_together_are_limited() -> None:
    door = Door()
    waiting = door.strangers()
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.1", None):
        assert not waiting.is_full
        waiting.add(Client(address))
    assert (door.closed, waiting.is_full) == ([], True)


def test_a_client_that_is_let_in_or_closed_does_not_count() -> None:
    door = Door()
    waiting, clients = door.strangers(), [Client() for _ in range(3)]
    for client in clients * 2:
        waiting.add(client)
        waiting.discard(client)
        waiting.discard(client)
    door.now = 1.0
    for client in clients[:2]:
        waiting.add(client)
    assert (door.closed, waiting.is_full) == ([], False)


async def test_handshakes_without_end_are_closed_and_others_come_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "YOUNG_S", 0.0)
    async with served(tmp_path, lambda _: ANSWER) as gateway:
        for _ in range(20):
            assert (await gateway.http.get(POLL)).status_code == 200
        async with polling(gateway.url) as member:
            assert (await member.done("presence:update", {}))["ok"]
        refused = await gateway.http.get(f"{POLL}&sid=unknown")
    assert refused.status_code == 400
