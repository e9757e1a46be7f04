"""Streams write their news when all messages of a read are handled."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.assembly import assemble
from gateway.contract.held_news import HeldNews
from gateway.settings import Settings
from gateway.web.http.sse_writer import Pulse, SseWriter
from tests.web.http.test_heartbeats import KeptWrites
from transports.mqtt.link import configured_link
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress


class Numbered(SseWriter):
    """Writes its name each time it has news."""

    def __init__(self, name: bytes, connection: KeptWrites, pulse: Pulse) -> None:
        super().__init__(connection, pulse)
        self._name = name

    def write_news(self) -> None:
        self.write(self._name)


@pytest.fixture
def connection() -> KeptWrites:
    return KeptWrites()


@pytest.fixture
async def stream(connection: KeptWrites) -> Callable[[bytes], Numbered]:
    pulse = Pulse(15)
    return lambda name: Numbered(name, connection, pulse)


async def test_held_news_are_written_once_for_each_stream_in_order(
    connection: KeptWrites, stream: Callable[[bytes], Numbered]
) -> None:
    first, second = stream(b"a"), stream(b"b")
    first.hear()
    with first._pulse.held:
        second.hear()
        first.hear()
        second.hear()
        assert connection.writes == [b"a"]
    assert connection.writes == [b"a", b"b", b"a"]
    second.hear()
    assert connection.writes == [b"a", b"b", b"a", b"b"]


async def test_held_news_are_written_after_an_error(
    connection: KeptWrites, stream: Callable[[bytes], Numbered]
) -> None:
    held = stream(b"a")

    def hear_and_fail() -> None:
        with held._pulse.held:
            held.hear()
            raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        hear_and_fail()
    assert connection.writes == [b"a"]


async def test_a_stream_that_ended_while_its_news_were_held_writes_none(
    connection: KeptWrites, stream: Callable[[bytes], Numbered]
) -> None:
    gone, stays = stream(b"a"), stream(b"b")
    with gone._pulse.held:
        gone.hear()
        stays.hear()
        gone.connection_lost()
    assert connection.writes == [b"b"]


def test_the_broker_connection_holds_the_news_of_all_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[HeldNews | None] = []

    class NotedLink(AiomqttLink):
        def __init__(self, address: BrokerAddress, *, held: HeldNews | None, **options: Any) -> None:
            super().__init__(address, held=held, **options)
            given.append(held)

    monkeypatch.setattr(configured_link, "AiomqttLink", NotedLink)
    assembled = assemble(Settings(mqtt_broker_host="127.0.0.1"))
    assert given == [
        assembled.gateway.pulse.held,
        None,
    ]  # the second one looks for a gateway of the same name
