"""The private names of aiomqtt and paho: each is checked, and without one the public way is taken."""

import asyncio
import logging

import aiomqtt
import pytest

from tests.transports.mqtt import packets
from tests.transports.mqtt.link.test_aiomqtt_link import Protocol, Session, scripted_broker, until_the_end
from transports.mqtt.link import aiomqtt_internals, paho_internals
from transports.mqtt.link.aiomqtt_internals import HookedClient
from transports.mqtt.link.aiomqtt_link import missing_names
from transports.mqtt.link.link import Envelope, Receipt
from transports.mqtt.link.plain_connection import PlainConnection

both_versions = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


async def test_the_installed_libraries_have_every_name() -> None:
    assert missing_names() == []


class Without:
    """A client that has every name but one."""

    def __init__(self, names: dict[str, str], gone: str) -> None:
        for name in names.keys() - {gone}:
            setattr(self, name, lambda: None)


@pytest.mark.parametrize("gone", paho_internals.REASONS)
def test_each_name_that_paho_loses_is_named(gone: str) -> None:
    client = Without(paho_internals.REASONS, gone)
    assert paho_internals.missing_names(client) == [f"paho.mqtt.client.Client.{gone}"]


@pytest.mark.parametrize("gone", aiomqtt_internals.REASONS)
async def test_each_name_that_aiomqtt_loses_is_named(gone: str) -> None:
    class Client:
        pass

    whole = aiomqtt.Client("nowhere.invalid")
    for name in aiomqtt_internals.REASONS.keys() - {gone}:
        if name in vars(aiomqtt.Client):
            setattr(Client, name, vars(aiomqtt.Client)[name])
        else:
            setattr(Client, name, getattr(whole, name))
    assert aiomqtt_internals.missing_names(Client()) == [f"aiomqtt.Client.{gone}"]


@pytest.mark.parametrize("hook", [name for name in vars(HookedClient) if name.startswith("_on_")])
async def test_a_hook_that_takes_other_parameters_is_named(hook: str) -> None:
    changed = type("Client", (aiomqtt.Client,), {})
    client = changed("nowhere.invalid")
    setattr(changed, hook, lambda self, everything: None)
    assert aiomqtt_internals.missing_names(client) == [f"aiomqtt.Client.{hook}"]


@pytest.fixture(params=[aiomqtt_internals, paho_internals], ids=["aiomqtt", "paho"])
def a_name_is_gone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """We ask for a name that the library does not have: to us that is the same as one that is gone."""
    monkeypatch.setitem(request.param.REASONS, "_gone", "for this test")


@both_versions
@pytest.mark.usefixtures("a_name_is_gone")
async def test_without_a_name_messages_go_the_public_way(
    protocol: Protocol, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(session: Session) -> None:
        session.publish(b"0", qos=0)
        session.publish(b"1", packet_id=7)
        assert (await session.next())[:4] == packets.puback(7)
        sent = [await session.next() for _ in range(3)]
        assert [publish[-1:] for publish in sent] == [b"a", b"b", b"c"]
        for publish in sent:
            session.writer.write(packets.puback(int.from_bytes(publish[7:9], "big")))
        await until_the_end(session)

    async with scripted_broker(protocol, script) as client:
        await client.is_told(True, b"0", b"1")
        assert isinstance(client.link._connection, PlainConnection)
        assert not client.link.tells_refusals
        receipts = [client.link.publish("abc", payload) for payload in (b"a", b"b", b"c")]
        assert {await receipt for receipt in receipts} == {Receipt.TAKEN}
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "Client._gone" in warnings[0]


@pytest.mark.usefixtures("a_name_is_gone")
async def test_the_public_way_comes_back_from_a_lost_broker_and_gives_up_what_it_had_sent() -> None:
    async def hang_up_on_a_message(session: Session) -> None:
        await session.next()

    async with scripted_broker("5", hang_up_on_a_message, until_the_end) as client:
        await client.is_told(True)
        assert await client.link.publish("abc", b"x", envelope=Envelope(5)) is Receipt.LOST
        await client.is_told(True, False, True)


@pytest.mark.usefixtures("a_name_is_gone")
async def test_a_message_under_way_at_the_end_is_lost_and_leaves_no_task() -> None:
    async def keep_silent(session: Session) -> None:
        await session.next()
        await until_the_end(session)

    before = asyncio.all_tasks()
    async with scripted_broker("5", keep_silent) as client:
        await client.is_told(True)
        receipt = client.link.publish("abc", b"x")
    assert await receipt is Receipt.LOST
    assert asyncio.all_tasks() == before
