"""API keys made and revoked by the command line while a gateway runs, and the access that they give."""

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.live.brokers import requires_mosquitto, running_mosquitto
from tests.live.house import gateway_of, until
from tests.live.model_server import model_server
from tests.live.nursery import forked_sluice
from tests.live.test_devices import device_at, mqtt
from tests.plain_http import plain_http
from tests.web.gateway_server import STREAM
from tests.web.key_holders import bearer

pytestmark = pytest.mark.live

SESSIONS = "/api/chatbot/sessions"
KEY = re.compile(r"sk-[A-Za-z0-9_-]{43}")


async def said_by(tmp_path: Path, *arguments: str, code: int = 0) -> str:
    """Run a command of `sluice` on the database in this folder and return its output."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"
    async with asyncio.timeout(120), forked_sluice(*arguments, DATABASE_URL=url) as program:
        assert await program.ended() == code, program.said
        return program.said


async def made_key(tmp_path: Path, user: str, *more: str) -> str:
    found = KEY.search(await said_by(tmp_path, "keys", "create", "--user", user, *more))
    assert found is not None
    return found[0]


async def test_a_running_gateway_heeds_the_commands_within_five_seconds(tmp_path: Path) -> None:
    async with asyncio.timeout(120), model_server() as model, gateway_of(tmp_path, model.url) as house:

        async def status(headers: dict[str, str]) -> int:
            return (await house.http.get(SESSIONS, headers=headers)).status_code

        assert await status({}) == 200
        key = await made_key(tmp_path, "anna", "--name", "laptop", "--scopes", "chat,metrics")
        async with asyncio.timeout(120):
            await until(lambda: status({}), 401)
        assert await status(bearer(key)) == 200

        second = await made_key(tmp_path, "ben", "--rate", "7", "--streams", "2")
        async with asyncio.timeout(120):
            await until(lambda: status(bearer(second)), 200)
        assert await said_by(tmp_path, "keys", "revoke", key[:11]) == "Key 1 of anna is revoked.\n"
        async with asyncio.timeout(120):
            await until(lambda: status(bearer(key)), 401)
        listed = (await said_by(tmp_path, "keys", "list")).splitlines()
        await said_by(tmp_path, "keys", "revoke", "2")
        async with asyncio.timeout(120):
            await until(lambda: status(bearer(second)), 401)
        assert await status({}) == 401
        assert house.said_no_errors()
    first, other = (line.split("\t") for line in listed)
    assert first[:6] == ["1", f"{key[:11]}…", "anna", "laptop", "chat,metrics", "-"]
    assert first[8].startswith("revoked ")
    assert other[:6] == ["2", f"{second[:11]}…", "ben", "-", "chat", "7/min 2 streams"]
    assert other[8] == "lives"
    assert first[7].startswith("used ")


async def test_another_address_needs_a_key_and_the_start_says_so(tmp_path: Path) -> None:
    settings = {"HOST": "0.0.0.0", "PORT": "0", "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/gateway.db"}
    async with asyncio.timeout(120), forked_sluice("serve", cwd=tmp_path, **settings) as refused:
        assert await refused.ended() == 2
    (line,) = refused.said.splitlines()
    assert all(word in line for word in ("HOST=0.0.0.0", "sluice keys create", "ALLOW_OPEN=1"))

    key = await made_key(tmp_path, "anna")
    await said_by(tmp_path, "keys", "revoke", "1")
    other = await made_key(tmp_path, "anna")
    async with asyncio.timeout(120), forked_sluice("serve", cwd=tmp_path, **settings) as gateway:
        port = (await gateway.until_said(r"listening on http://0.0.0.0:(\d+)"))[1]
        async with plain_http(f"http://127.0.0.1:{port}") as http:
            statuses = [
                (await http.get(SESSIONS, headers={"host": "chat.example", **headers})).status_code
                for headers in ({}, bearer(key), bearer(other))
            ]
    assert statuses == [401, 401, 200]


async def test_keys_and_tickets_are_in_no_log_and_no_file(tmp_path: Path) -> None:
    key = await made_key(tmp_path, "anna")
    wrong = "sk-" + "W" * 43
    async with (
        asyncio.timeout(120),
        model_server() as model,
        gateway_of(tmp_path, model.url, LOG_LEVEL="debug") as house,
    ):
        model.open_with("all ", "said", end=True)
        house.http.headers.update(bearer(key))
        session = (await house.http.post(SESSIONS)).json()["id"]
        ticket = (await house.http.post(f"{SESSIONS}/{session}/ticket")).json()["ticket"]
        asked = await house.http.post(STREAM, json={"content": "Hi", "resumable": True})
        resume = re.search(r"ticket=([^&]+)", asked.headers["sluice-resume-url"])
        assert resume is not None
        for headers in (bearer(wrong), {"x-api-key": wrong, "authorization": ""}):
            assert (await house.http.get(SESSIONS, headers=headers)).status_code == 401
        await house.http.get(f"{SESSIONS}/{session}/events?ticket={ticket}x")
        await house.http.get(f"{STREAM}/nothing?ticket={resume[1]}")
        await house.http.post(STREAM, content=key, headers={"content-type": "application/json"})
        await house.program.end(15)
        said = house.program.said
    files = b"".join(file.read_bytes() for file in tmp_path.glob("gateway.db*"))  # noqa: ASYNC240 - small
    for secret in (key[11:], wrong, ticket, resume[1]):
        assert secret not in said
        assert secret.encode() not in files
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as database:
        assert database.execute("SELECT length(digest) FROM api_keys").fetchall() == [(64,)]


@requires_mosquitto()
async def test_devices_are_bound_to_users_once_there_are_keys(tmp_path: Path) -> None:
    await said_by(tmp_path, "devices", "add", "robot-1", "--user", "anna")
    key = await made_key(tmp_path, "anna")
    bens = await made_key(tmp_path, "ben")
    async with (
        asyncio.timeout(120),
        running_mosquitto() as broker,
        model_server() as model,
        gateway_of(tmp_path, model.url, RATE_PER_MINUTE="2", **mqtt(broker.address)) as house,
        device_at(broker.address) as robot,
        device_at(broker.address, name="robot-2") as stranger,
    ):
        model.open_with("all ", "said", end=True)
        robot.chat("c1", "Hi")
        assert (await robot.until("end"))["reason"] == "stop"
        stranger.chat("c1", "Hi")
        assert (await stranger.until("error"))["code"] == "forbidden"

        async def mirrored(device: str, key: str) -> int:
            body = {"content": "Hi", "mirror": device}
            return (await house.http.post(STREAM, json=body, headers=bearer(key))).status_code

        assert await mirrored("robot-1", bens) == await mirrored("robot-9", bens) == 404
        assert await mirrored("robot-1", key) == 200
        # The mirrored question was the second of the two allowed per minute: device and browser share them.
        robot.chat("c2", "Hi")
        refused = await robot.until("error")
    assert (refused["code"], refused["retryable"]) == ("rate_limited", True)
