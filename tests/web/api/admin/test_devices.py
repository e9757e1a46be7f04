"""Registered devices over HTTP."""

from pathlib import Path
from typing import Any

import pytest

from tests.web.gateway_server import served
from tests.web.key_holders import keys_of
from transports.scripted import tokens

DEVICES = "/api/admin/devices"


async def test_a_device_is_registered_as_by_the_command(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        made = await gateway.http.post(DEVICES, json={"name": "robot-1", "user": "anna"})
        again = await gateway.http.post(DEVICES, json={"name": "robot-1", "user": "anna"})
        others = await gateway.http.post(DEVICES, json={"name": "robot-1", "user": "ben"})
        (listed,) = (await gateway.http.get(DEVICES)).json()
        changes = (await gateway.http.get("/api/admin/audit")).json()
    assert (made.status_code, made.json()) == (201, listed)
    assert (again.status_code, again.json()) == (201, listed)
    assert (others.status_code, listed["user"]) == (409, "anna")
    assert (changes[-1]["action"], changes[-1]["subject"], changes[-1]["detail"]) == (
        "device.add",
        "robot-1",
        {"user": "anna"},
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "robot/1", "user": "anna"}, "name"),
        ({"name": "", "user": "anna"}, "name"),
        ({"name": "r\n", "user": "anna"}, "name"),
        ({"name": 7, "user": "anna"}, "name"),
        ({"name": "robot-1"}, "user"),
        ({"name": "robot-1", "user": "a b"}, "user"),
        ({"name": "robot-1", "user": "anna", "more": 1}, "more"),
    ],
)
async def test_a_wrong_body_is_422(tmp_path: Path, body: dict[str, Any], field: str) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        refused = await gateway.http.post(DEVICES, json=body)
        listed = (await gateway.http.get(DEVICES)).json()
    assert (refused.status_code, listed) == (422, [])
    assert field in refused.text


async def test_devices_are_listed_and_removed(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        for name in ("robot-2", "robot-1"):
            await keys_of(gateway).add_device(name, "anna")
        listed = (await gateway.http.get(DEVICES)).json()
        removed = await gateway.http.delete(f"{DEVICES}/robot-1")
        gone = await gateway.http.delete(f"{DEVICES}/robot-1")
        left = (await gateway.http.get(DEVICES)).json()
        (change,) = (await gateway.http.get("/api/admin/audit")).json()
    assert [(device["name"], device["user"]) for device in listed] == [
        ("robot-1", "anna"),
        ("robot-2", "anna"),
    ]
    assert (removed.status_code, removed.content, gone.status_code) == (204, b"", 404)
    assert left == listed[1:]
    assert (change["action"], change["subject"]) == ("device.remove", "robot-1")
