"""Registered devices over HTTP."""

from pathlib import Path

from tests.web.gateway_server import served
from tests.web.key_holders import keys_of
from transports.scripted import tokens

DEVICES = "/api/admin/devices"


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
