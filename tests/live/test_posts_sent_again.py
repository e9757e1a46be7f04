"""The libraries that reconnect by sending their POST again, cut off from a real gateway again and again."""

import asyncio
import json
import random
from pathlib import Path

import pytest

from tests.live.cutting_proxy import cutting_proxy
from tests.live.house import gateway_of
from tests.live.model_server import model_server
from tests.live.node import requires_node, run_node
from tests.web.event_source import EventSource
from tests.web.gateway_server import STREAM

pytestmark = [pytest.mark.live, requires_node()]

DROPS = 40
TEXTS = [f"{number} 🙂é\n\n" for number in range(400)]
WORDS = "/api/v1/chat/unified/stream"


@pytest.mark.parametrize("library", ["fetch-event-source", "eventsource-client"])
@pytest.mark.parametrize(
    ("dialect", "path", "body"),
    [
        ("lam", STREAM, {"content": "go on"}),
        ("words", WORDS, {"message": "go on", "user_id": "ann"}),
    ],
)
async def test_what_they_show_is_what_the_database_holds(
    tmp_path: Path, library: str, dialect: str, path: str, body: dict[str, str]
) -> None:
    chance = random.Random(library + dialect)
    cuts = [chance.randint(500, 2000) for _ in range(DROPS)]
    async with (
        asyncio.timeout(120),
        model_server() as model,
        gateway_of(tmp_path, model.url) as house,
        cutting_proxy("127.0.0.1", house.http.base_url.port or 0, cuts) as proxy,
    ):
        model.open_with(*TEXTS[:200])
        reading = asyncio.create_task(
            run_node("resending_client.mjs", library, proxy.url + path, dialect, json.dumps(body))
        )
        await proxy.cut_off.wait()
        (running,) = await house.messages()
        other = await house.client.come_back(running["stream_id"], EventSource())
        await other.read(lambda: other.source.chars == len("".join(TEXTS[:200])))
        for text in TEXTS[200:]:
            model.say(text)
        model.end()
        told = await reading
        (kept,) = await house.messages()
        assert house.said_no_errors()
    assert kept["content"] == "".join(TEXTS)
    assert told["text"] == kept["content"]
    assert told["ends"] == (dialect == "lam")
    assert proxy.cuts_left == 0
    assert set(told["statuses"]) <= {200, 204}
