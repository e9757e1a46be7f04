"""Messages beyond a broker's limits are refused before the broker would disconnect."""

import pytest

from gateway.contract.errors import TooLarge
from tests.transports.mqtt import packets
from tests.transports.mqtt.link.test_aiomqtt_link import Session, scripted_broker, until_the_end
from transports.mqtt.link.broker_limits import LEARNED_S, BrokerLimits
from transports.mqtt.link.link import Receipt

TOPIC = "abc"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def limits(max_payload: int = 100_000) -> tuple[BrokerLimits, Clock]:
    clock = Clock()
    return BrokerLimits(max_payload, clock), clock


def refused(limits: BrokerLimits, size: int) -> bool:
    try:
        limits.check(TOPIC, b"x" * size)
    except TooLarge:
        return True
    return False


def test_our_own_setting_is_the_limit_where_the_broker_says_nothing() -> None:
    known, _ = limits(1_000)
    assert (refused(known, 1_000), refused(known, 1_001)) == (False, True)


def test_the_brokers_word_counts_topic_and_properties_and_only_for_its_connection() -> None:
    known, _ = limits()
    known.connected(10_000)
    assert known.room(TOPIC) < 10_000 - len(TOPIC)
    assert not refused(known, known.room(TOPIC))
    assert refused(known, known.room(TOPIC) + 1)
    known.connected(None)
    assert known.room(TOPIC) == 100_000


def test_what_the_broker_hung_up_on_twice_is_not_sent_a_third_time_for_a_while() -> None:
    known, clock = limits()
    known.hung_up_on([50_000, 200])
    assert not refused(known, 60_000), "once may be chance"
    known.hung_up_on([50_000])
    assert refused(known, 50_000)
    assert not refused(known, 40_000)
    clock.now = LEARNED_S + 1
    assert not refused(known, 60_000)


def test_shorter_and_shorter_messages_cost_few_connections() -> None:
    known, _ = limits()
    known.took(1_000)
    losses = 0
    for size in range(50_000, 2_000, -1):
        while not refused(known, size):
            known.hung_up_on([size])
            losses += 1
    assert losses <= 2 * 16
    assert not refused(known, 1_000 - len(TOPIC))


def test_a_size_that_the_broker_has_taken_before_is_no_reason_to_hang_up() -> None:
    known, _ = limits()
    known.took(60_000)
    for _ in range(5):
        known.hung_up_on([50_000])
    assert not refused(known, 50_000)


def test_a_larger_message_that_was_taken_clears_a_suspicion() -> None:
    known, _ = limits()
    known.hung_up_on([50_000])
    known.took(60_000)
    known.hung_up_on([70_000])
    assert not refused(known, 80_000)


async def test_connack_tells_the_largest_packet() -> None:
    maximum_packet_size_5000 = b"\x20\x08\x00\x00\x05\x27" + (5_000).to_bytes(4, "big")

    async def take_one(session: Session) -> None:
        publish = await session.next()
        assert len(publish) <= 5_000
        session.writer.write(packets.puback(1))
        await until_the_end(session)

    async with scripted_broker("5", take_one, connack=maximum_packet_size_5000) as client:
        await client.is_told(True)
        with pytest.raises(TooLarge, match="packets of 5000"):
            client.link.publish(TOPIC, b"x" * 5_000)
        client.link.publish(TOPIC, b"x" * client.link.room(TOPIC))


async def test_a_3_1_1_broker_that_hangs_up_on_a_long_message_is_sent_it_twice_only() -> None:
    async def hang_up_on_the_message(session: Session) -> None:
        await session.next()

    twice = [hang_up_on_the_message] * 2
    async with scripted_broker("3.1.1", *twice, until_the_end) as client:
        for number in (1, 2):
            await client.is_told(*[True, False] * (number - 1), True)
            assert await client.link.publish(TOPIC, b"x" * 3_000) is Receipt.LOST
        await client.is_told(True, False, True, False, True)
        with pytest.raises(TooLarge, match="hung up 2 times"):
            client.link.publish(TOPIC, b"x" * 3_000)
