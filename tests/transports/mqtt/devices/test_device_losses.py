"""Devices and brokers that go away in mid-answer, and come back or do not."""

import asyncio
from pathlib import Path

from tests.transports.mqtt.device_scene import Slow, scene, the_run
from transports.scripted import tokens


async def test_a_device_that_is_lost_for_longer_than_the_grace_abandons_its_reply(tmp_path: Path) -> None:
    async with scene(tmp_path, Slow(), grace_s=0.01) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("chunk")
        run = await the_run(at)
        at.device.status("lost")
        await run.ended.wait()
        await at.settled()
        assert run.outcome is not None
        assert run.outcome.reason == "abandoned"
    assert at.device.types() == ["accept", "chunk"]


async def test_a_device_that_comes_back_within_the_grace_hears_the_whole(tmp_path: Path) -> None:
    script = Slow()
    async with scene(tmp_path, script) as at:
        at.device.status("ready")
        at.device.chat("c1", "Hi")
        await at.device.until("chunk")
        run = await the_run(at)
        at.device.status("lost")
        await asyncio.sleep(0)
        script.go_on.set()
        await run.ended.wait()
        assert at.device.types() == ["accept", "chunk"]
        at.device.status("ready")
        reply = await at.device.until("reply")
    assert at.device.types() == ["accept", "chunk", "reply"]
    assert reply["text"] == "one two three"


async def test_a_device_that_comes_back_when_the_journal_is_gone_hears_the_whole(tmp_path: Path) -> None:
    script = Slow()
    async with scene(tmp_path, script, ttl_s=0) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("chunk")
        run = await the_run(at)
        at.device.status("lost")
        await asyncio.sleep(0)
        script.go_on.set()
        await run.ended.wait()
        at.device.status("ready")
        reply = await at.device.until("reply")
    assert reply["text"] == "one two three"


async def test_a_lost_of_an_earlier_life_is_ignored(tmp_path: Path) -> None:
    script = Slow()
    async with scene(tmp_path, script) as at:
        at.device.status("ready", incarnation=2)
        at.device.chat("c1", "Hi")
        await at.device.until("chunk")
        at.device.status("lost", incarnation=1)
        await asyncio.sleep(0)
        script.go_on.set()
        await at.device.until("end")


async def test_who_chats_is_there_whatever_its_status_says(tmp_path: Path) -> None:
    async with scene(tmp_path, lambda _: tokens("yes")) as at:
        at.device.status("lost")
        at.device.chat("c1", "Hi")
        await at.device.until("end")


async def test_what_was_lost_with_the_broker_is_told_by_one_reply_at_the_end(tmp_path: Path) -> None:
    script = Slow()
    async with scene(tmp_path, script) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("chunk")
        run = await the_run(at)
        at.link.stuck = True
        script.go_on.set()
        await run.ended.wait()
        at.link.lose_connection()
        at.link.stuck = False
        at.link.connect()
        reply = await at.device.until("reply")
    assert at.device.types() == ["accept", "chunk", "reply"]
    assert reply["text"] == "one two three"


async def test_after_a_loss_of_the_broker_an_answer_is_told_until_somebody_hears_it(tmp_path: Path) -> None:
    script = Slow()
    async with scene(tmp_path, script) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("chunk")
        run = await the_run(at)
        (devices_link,) = [link for link in at.broker.links if link.client_id == at.device.name]
        for link in (devices_link, at.link):
            link.lose_connection()
        script.go_on.set()
        await run.ended.wait()
        at.link.connect()
        for _ in range(10):  # the gateway is back first, and tells nobody
            await asyncio.sleep(0)
        devices_link.connect()
        reply = await at.device.until("reply")
        told = [payload for topic, payload in at.link.sent if b'"reply"' in payload]
        assert len(told) > 1
    assert reply["text"] == "one two three"
    assert at.device.types() == ["accept", "chunk", "reply"]


async def test_a_message_that_was_lost_in_mid_answer_is_made_good_by_one_reply(tmp_path: Path) -> None:
    script = Slow()
    async with scene(tmp_path, script) as at:
        at.link.stuck = True
        at.device.chat("c1", "Hi")
        await at.link.published()
        at.link.lose_connection()
        at.link.stuck = False
        at.link.connect()
        script.go_on.set()
        reply = await at.device.until("reply")
    assert at.device.types() == ["reply"]
    assert reply["text"] == "one two three"


async def test_what_the_broker_had_acknowledged_before_it_broke_may_be_lost_as_well(tmp_path: Path) -> None:
    script = Slow()
    async with scene(tmp_path, script) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("chunk")
        at.link.lose_connection()
        await asyncio.sleep(0)
        at.link.connect()
        script.go_on.set()
        reply = await at.device.until("reply")
    assert at.device.types() == ["accept", "chunk", "reply"]
    assert reply["text"] == "one two three"


async def test_a_long_reply_that_the_journal_no_longer_holds_is_told_whole(tmp_path: Path) -> None:
    script = Slow()
    async with scene(tmp_path, script) as at:
        at.device.chat("c1", "Hi")
        await at.device.until("chunk")
        run = await the_run(at)
        at.device.status("lost")
        await asyncio.sleep(0)
        script.go_on.set()
        await run.ended.wait()
        log = at.home.journal._logs[run.stream_id]
        log.checkpointed(4)
        log.drop_to(0)
        at.device.status("ready")
        reply = await at.device.until("reply")
    assert reply["text"] == "one two three"
