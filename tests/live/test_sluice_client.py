"""The page's JavaScript client in Node, against a real gateway and a proxy that cuts connections."""

import asyncio
import json
import random
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket
from typing import Any

import pytest

from tests.live.cutting_proxy import cutting_proxy
from tests.live.house import House, gateway_of
from tests.live.model_server import model_server
from tests.live.node import requires_node
from tests.live.scripted_model import scripted_model

pytestmark = [pytest.mark.live, requires_node()]

SCRIPT = Path(__file__).parents[1] / "page" / "ask.mjs"
DROPS = 60
TEXTS = [f"{number} 🙂é\r\n\u2028" for number in range(400)]


async def run_client(url: str, scenario: str, **options: Any) -> Any:
    process = await asyncio.create_subprocess_exec(
        "node", SCRIPT, url, scenario, json.dumps(options), stdout=PIPE, stderr=PIPE
    )
    told, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return json.loads(told)


async def test_it_tells_the_whole_reply_once_over_lost_connections(tmp_path: Path) -> None:
    chance = random.Random(7)
    cuts = [0, 1, 20, *(chance.randint(200, 2000) for _ in range(DROPS))]
    async with (
        asyncio.timeout(120),
        model_server() as model,
        gateway_of(tmp_path, model.url) as house,
        cutting_proxy("127.0.0.1", house.http.base_url.port or 0, cuts) as proxy,
    ):
        model.open_with(*TEXTS, end=True)
        told = await run_client(proxy.url, "ask", content="go on")
        stored = await house.messages()
    (stored_reply,) = stored
    assert told["joined"] == told["text"] == stored_reply["content"] == "".join(TEXTS)
    assert told["kinds"] == ["metadata", "chunk", "done"]
    assert told["last"]["reason"] == "stop"
    assert told["states"][0] == "connecting"
    assert told["states"][-1] == "ended"
    assert {"waiting", "resumed"} <= set(told["states"])


@asynccontextmanager
async def house_of(tmp_path: Path, **settings: str) -> AsyncIterator[House]:
    async with asyncio.timeout(120), scripted_model() as url, gateway_of(tmp_path, url, **settings) as house:
        yield house


@pytest.mark.parametrize("scenario", ["ask", "follow"])
async def test_reasoning_and_text_are_those_of_the_database(tmp_path: Path, scenario: str) -> None:
    async with house_of(tmp_path) as house:
        told = await run_client(str(house.http.base_url), scenario, content="think rivers")
        (stored,) = await house.messages()
    assert (told["text"], told["reasoning"]) == (stored["content"], stored["reasoning"])
    assert told["joined"] == told["text"]
    assert told["kinds"] == ["metadata", "reasoning", "chunk", "done"]
    assert told["states"] == ["connecting", "open", "ended"]
    assert told["same"]


@pytest.mark.parametrize("scenario", ["stop", "stopBefore", "abort"])
async def test_a_stopped_reply_keeps_its_text(tmp_path: Path, scenario: str) -> None:
    async with house_of(tmp_path) as house:
        told = await run_client(str(house.http.base_url), scenario, content="hold rivers")
        (stored,) = await house.messages()
    assert (told["last"]["type"], told["last"]["reason"]) == ("done", "user_stop")
    assert (stored["status"], stored["content"]) == ("cancelled", told["text"])


async def test_closing_only_ends_the_reading(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        told = await run_client(str(house.http.base_url), "close", content="hold rivers")
        (stored,) = await house.messages()
    assert told["kinds"][-1] == "chunk"
    assert told["states"][-1] == "ended"
    assert stored["status"] == "streaming"


@pytest.mark.parametrize("content", ["break rivers", "refuse rivers", "fail rivers"])
async def test_a_failed_reply_ends_with_its_error(tmp_path: Path, content: str) -> None:
    async with house_of(tmp_path) as house:
        told = await run_client(str(house.http.base_url), "ask", content=content)
        (stored,) = await house.messages()
    assert told["last"]["type"] == "error"
    assert told["last"]["message"]
    assert (stored["status"], stored["content"]) == ("failed", told["text"])


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"content": ""}, 422, "invalid"),
        ({"content": "say x", "settings": {"session": 999}}, 404, "not_found"),
        ({"content": "say x", "settings": {"temperature": "hot"}}, 422, "invalid"),
    ],
)
async def test_a_refused_question_is_one_error_with_its_status(
    tmp_path: Path, options: dict[str, Any], status: int, code: str
) -> None:
    async with house_of(tmp_path) as house:
        told = await run_client(str(house.http.base_url), "ask", **options)
        assert await house.messages() == []
    assert told["kinds"] == ["error"]
    assert (told["last"]["status"], told["last"]["code"]) == (status, code)
    assert told["states"] == ["connecting", "ended"]
    assert status != 422 or told["last"]["errors"][0]["field"]


async def test_without_a_gateway_it_gives_up_after_its_patience() -> None:
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        told = await run_client(f"http://127.0.0.1:{taken.getsockname()[1]}", "impatient", content="say x")
    assert (told["kinds"], told["last"]["code"]) == (["error"], "unreachable")


async def test_sessions(tmp_path: Path) -> None:
    async with house_of(tmp_path) as house:
        told = await run_client(str(house.http.base_url), "sessions")
    assert told["title"] == "Lakes </script>"
    assert told["listed"] == [True]
    assert told["roles"] == ["user", "assistant"]
    assert "first" in told["markdown"]
    assert told["gone"] == [True, 404, "not_found"]
    assert told["lost"] == 404


async def test_another_tab_sees_questions_and_replies(tmp_path: Path) -> None:
    # The client's state is `open` after the first byte, which in a session without events is a heartbeat.
    async with house_of(tmp_path, SSE_PING_S="0.1") as house:
        told = await run_client(str(house.http.base_url), "watch")
    assert told == {"kinds": ["message", "reply_started", "reply_ended"], "state": "ended"}
