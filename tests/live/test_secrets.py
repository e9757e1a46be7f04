"""No credential is ever logged or sent: not at log level debug, not when everything fails."""

import asyncio
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.live.brokers import Mosquitto, free_port, requires_mosquitto
from tests.live.nursery import forked_sluice
from tests.live.test_gateway import running_gateway
from tests.web.gateway_server import STREAM

pytestmark = [pytest.mark.live, requires_mosquitto()]

SETTINGS = {
    "LLM_API_KEY": "llama-hunter2-aaaa",
    "MQTT_USERNAME": "gateway",
    "MQTT_PASSWORD": "broker-hunter2-bbbb",
    "TICKET_SECRET": "ticket-hunter2-cccc",
}
WRONG_KEY = "sk-" + "w" * 43
STRANGE_KEY = "hunter2-no-key-of-ours"
FORGED_TICKET = "1999999999.YW5uYQ.hunter2forgedforged"
"""A forged ticket, like the wrong keys above: credentials that clients send by mistake are secrets too."""


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_no_secret_is_ever_in_what_a_gateway_says(tmp_path: Path, log_format: str) -> None:
    broker = Mosquitto("allow_anonymous false\n")
    settings = {
        **SETTINGS,
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": log_format,
        "MQTT_BROKER_HOST": broker.address.host,
        "MQTT_BROKER_PORT": str(broker.address.port),
        "LLM_SERVER_URL": f"http://127.0.0.1:{free_port()}",
        "LLM_COMM_MODE": "auto",
    }
    async with asyncio.timeout(120):
        await broker.start()
        try:
            key = await key_made(tmp_path)
            async with running_gateway(tmp_path, **settings) as gateway:
                tickets = await everything_goes_wrong(gateway.http, key)
                code = await gateway.program.end(signal.SIGTERM)
        finally:
            await broker.kill()
    assert code == 0
    said = gateway.program.said
    assert "unreachable" in said  # the failures were logged
    secrets = [*SETTINGS.values(), key, WRONG_KEY, STRANGE_KEY, FORGED_TICKET, *tickets]
    secrets.remove(SETTINGS["MQTT_USERNAME"])
    assert [secret for secret in secrets if secret in said] == []
    assert "hunter2" not in said


async def key_made(tmp_path: Path) -> str:
    database = f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"
    async with forked_sluice("keys", "create", "--user", "anna", DATABASE_URL=database) as program:
        assert await program.ended() == 0
    found = re.search(r"sk-[\w-]{43}", program.said)
    assert found is not None
    return found[0]


async def everything_goes_wrong(http: Any, key: str) -> list[str]:
    """Make requests that fail, with right and wrong keys and tickets; return the tickets issued."""
    mine = {"authorization": f"Bearer {key}"}
    asked = await http.post(STREAM, json={"content": "Hi", "resumable": True}, headers=mine)
    stream_url = asked.headers.get("sluice-resume-url", "")
    session = (await http.post("/api/chatbot/sessions", headers=mine)).json()
    told = (await http.post(f"/api/chatbot/sessions/{session['id']}/ticket", headers=mine)).json()
    tickets = [told["ticket"], *re.findall("ticket=([^&]+)", stream_url)]
    for headers in (
        {"authorization": f"Bearer {WRONG_KEY}"},
        {"authorization": f"Bearer {STRANGE_KEY}"},
        {"authorization": f"Basic {STRANGE_KEY}"},
        {"authorization": STRANGE_KEY},
        {"x-api-key": STRANGE_KEY},
        {"x-api-key": WRONG_KEY},
    ):
        assert (await http.get("/api/chatbot/sessions", headers=headers)).status_code == 401
    for path in (f"{STREAM}/{'0' * 32}", "/api/chatbot/sessions/1/events", "/nowhere"):
        for ticket in (*tickets, FORGED_TICKET, key):
            refused = await http.get(path, params={"ticket": ticket})
            assert refused.status_code in {401, 403, 404}
    for body in (b"{", b'{"content": 5}', b'{"model": "' + STRANGE_KEY.encode() + b'"'):
        json = {**mine, "content-type": "application/json"}
        assert (await http.post("/v1/chat/completions", content=body, headers=json)).status_code == 400
    failed = await http.post(
        "/v1/chat/completions", json={"messages": [{"role": "user", "content": "Hi"}]}, headers=mine
    )
    assert failed.status_code >= 502
    return tickets
