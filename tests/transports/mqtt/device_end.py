"""The device's side of the protocol, over a broker in memory or a real one."""

import asyncio
import json
from itertools import groupby
from typing import Any

from transports.mqtt.link.link import Link

DEVICES = "sluice/v1/devices"


class DeviceEnd:
    """Sends a device's frames and collects the received ones. link: its client id is the device's name."""

    def __init__(self, link: Link) -> None:
        self.name = link.client_id
        self.heard: list[dict[str, Any]] = []
        self._link = link
        self._news = asyncio.Event()
        self._asked = 0
        link.subscribe(f"{DEVICES}/{self.name}/down", self._hear)

    def say(self, level: str, frame: dict[str, object], *, retain: bool = False) -> None:
        self._link.publish(f"{DEVICES}/{self.name}/{level}", json.dumps(frame).encode(), retain=retain)

    def chat(self, id: str, text: str, **more: object) -> None:
        self.say("up", {"type": "chat", "id": id, "text": text, **more})

    def cancel(self, id: str) -> None:
        self.say("cancel", {"type": "cancel", "id": id})

    def status(self, state: str, **more: object) -> None:
        self.say("status", {"type": "status", "state": state, **more}, retain=True)

    async def until_taken(self) -> None:
        """Return when the gateway has taken all frames sent so far: it refuses an empty chat at once."""
        self._asked += 1
        id = f"marker-{self._asked}"
        self.chat(id, "")
        await self.until("error", id=id)

    async def until(self, *types: str, id: str | None = None, count: int = 1) -> dict[str, Any]:
        """Wait for `count` frames of these types and return the latest."""
        while True:
            self._news.clear()
            found = [frame for frame in self.frames(id) if frame["type"] in types]
            if len(found) >= count:
                return found[-1]
            await self._news.wait()

    def frames(self, id: str | None = None) -> list[dict[str, Any]]:
        return [frame for frame in self.heard if id is None or frame.get("id") == id]

    def types(self, id: str | None = None) -> list[str]:
        return [frame["type"] for frame in self.frames(id)]

    def kinds(self, id: str | None = None) -> list[str]:
        """The frames' types in order, equal neighbours once: the cuts do not matter."""
        return [type for type, _ in groupby(self.types(id))]

    def text(self, id: str | None = None) -> str:
        return "".join(frame["text"] for frame in self.frames(id) if frame["type"] == "chunk")

    def _hear(self, topic: str, payload: bytes, retained: bool) -> None:
        self.heard.append(json.loads(payload))
        self._news.set()
