"""Helpers for one gateway process in mode mqtt: its workers' states, and the end of a reply."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.live.brokers import Mosquitto
from tests.live.hand_worker import GATEWAY, HandWorker
from tests.live.house import House, gateway_of
from tests.live.looking import look_again
from tests.web.raw_reader import RawReader
from transports.mqtt.protocol.frames import Whole

NO_MODEL = "http://127.0.0.1:1"


@asynccontextmanager
async def mqtt_gateway(tmp_path: Path, broker: Mosquitto, **settings: str) -> AsyncIterator[House]:
    address = {"MQTT_BROKER_HOST": "127.0.0.1", "MQTT_BROKER_PORT": str(broker.address.port)}
    settings = {"LLM_COMM_MODE": "mqtt", "GATEWAY_NAME": GATEWAY, **address, **settings}
    async with asyncio.timeout(120), gateway_of(tmp_path, NO_MODEL, **settings) as house:
        yield house


async def ready(house: House) -> None:
    """Wait until the gateway is ready."""
    while (await house.http.get("/ready")).status_code != 200:
        await look_again()


async def known(house: House, name: str) -> dict[str, Any]:
    """Wait until the gateway lists a worker, and return its entry."""
    while True:
        for told in (await house.http.get("/api/chatbot/workers")).json():
            if told["name"] == name:
                return dict(told)
        await look_again()


async def ending(house: House, reader: RawReader) -> tuple[str, str, str]:
    """Return type, reason and code of the reader's last event. Asserts that the database has the same end."""
    await reader.read()
    (end,) = reader.source.ends
    (kept,) = [row for row in await house.messages() if row["id"] == end["assistant_message_id"]]
    assert kept["content"] == end["full_content"] == reader.source.text
    assert kept["reason"] == end["reason"]
    if end["type"] == "error":
        assert (kept["status"], kept["error"]["code"]) == ("failed", end["code"])
    return end["type"], end["reason"], end.get("code", "")


async def serves(house: House, worker: HandWorker) -> None:
    """Assert that the gateway gets a reply from this worker."""
    reader = await house.client.ask("Are you well?")
    await worker.say(Whole((await worker.asked()).id, "I am."))
    assert await ending(house, reader) == ("done", "stop", "")
