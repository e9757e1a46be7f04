"""Floods against a real gateway process: it stays small, and goes on serving those who behave."""

from functools import partial
from pathlib import Path

import pytest

from gateway.contract.events import MAX_REPLY_CHARS
from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.hand_worker import Hand, HandWorker, reply_topic, status_topic
from tests.live.house import House
from tests.live.mqtt_house import ending, known, mqtt_gateway, serves
from tests.web.raw_reader import RawReader
from transports.mqtt.protocol.frame_codec import encode
from transports.mqtt.protocol.frames import AcceptFrame, ChunkFrame, EndFrame, Status
from transports.mqtt.requests.frame_order import MAX_REPLY_BYTES
from transports.mqtt.requests.presence import MAX_WORKERS

pytestmark = [pytest.mark.live, requires_mosquitto()]

MIB = 2**20
TEXT = "x" * 16_000


def held_bytes(house: House) -> int:
    """The gateway's memory."""
    lines = Path(f"/proc/{house.program.process.pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def has_more_than(reader: RawReader, chars: int) -> bool:
    return reader.source.chars > chars


async def test_rubbish_in_floods_is_forgotten(tmp_path: Path) -> None:
    async with (
        running_mosquitto() as broker,
        mqtt_gateway(tmp_path, broker) as house,
        HandWorker(broker).running() as honest,
        Hand(broker, "stranger").running() as stranger,
    ):
        await known(house, "honest")
        await serves(house, honest)
        before = held_bytes(house)
        greedy = Status("ready", max=10**9, models=[f"{number:0256}" for number in range(200)])
        invented = [f"invented-{number}" for number in range(2_000)]
        await stranger.flood((status_topic(name), encode(Status("ready", max=1_000))) for name in invented)
        await stranger.flood((reply_topic(name), b"[" * 10_000) for name in invented)
        await stranger.announce_as("greedy", *[encode(greedy)] * 500)
        for _ in range(20):
            await stranger.answer_as("stranger", b"x" * MIB)
        await serves(house, honest)
        assert len((await house.http.get("/api/chatbot/workers")).json()) == MAX_WORKERS
        assert held_bytes(house) - before < 24 * MIB
        assert house.said_no_errors()


async def test_a_worker_that_raves_is_cut_off_and_the_others_replies_flow_meanwhile(tmp_path: Path) -> None:
    async with (
        running_mosquitto() as broker,
        mqtt_gateway(tmp_path, broker, SEND_TIMEOUT_S="60") as house,
        HandWorker(broker, "raving", Status("ready", stream=True, max=10)).running() as raving,
    ):
        await known(house, "raving")
        deaf = await house.client.ask("Rave!", receive_buffer_bytes=4_096)
        raved = (await raving.asked()).id
        async with HandWorker(broker, status=Status("ready", stream=True, max=99)).running() as honest:
            await known(house, "honest")
            reader = await house.client.ask("Speak!")
            told = (await honest.asked()).id
            before = held_bytes(house)
            await honest.say(AcceptFrame(told))
            frames = (ChunkFrame(raved, seq, TEXT) for seq in range(1, 2 * MAX_REPLY_BYTES // len(TEXT)))
            for seq, frame in enumerate(frames, 1):
                await raving.say(frame)
                if seq % 20 == 0:
                    chars = reader.source.chars
                    await honest.say(ChunkFrame(told, seq // 20, "word "))
                    await reader.read(partial(has_more_than, reader, chars))
            assert (await raving.cancelled()).id == raved
            await honest.say(EndFrame(told, seq // 20 + 1))
            assert await ending(house, reader) == ("done", "stop", "")
        assert held_bytes(house) - before < 8 * MAX_REPLY_BYTES
        await deaf.read()  # all of it from the database, or cut off because it fell too far behind
        (row,) = [row for row in await house.messages() if row["stream_id"] == deaf.stream_id]
        assert (row["status"], row["reason"]) == ("failed", "upstream_error")
        assert row["content"].startswith(deaf.source.text)
        assert MAX_REPLY_CHARS * 0.9 < len(row["content"]) < MAX_REPLY_CHARS * 1.1
        assert house.said_no_errors()
