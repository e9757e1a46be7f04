"""A database that refuses the end of a reply to a device: the device hears an error, and never `end`."""

from pathlib import Path

import pytest

from tests.core.fickle import Fickle
from tests.core.house import USER
from tests.transports.mqtt.device_scene import chats_of, scene
from transports.mqtt.devices.ingress import MqttIngress
from transports.scripted import tokens, whole


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("script", [tokens("Hel", "lo"), whole("Hello")], ids=["tokens", "whole"])
async def test_a_device_hears_that_its_answer_was_not_kept_and_the_same_when_it_asks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: list[object], stream: bool
) -> None:
    monkeypatch.setattr("gateway.core.reply_row.STORAGE_RETRY_S", 0.0)
    async with scene(tmp_path, lambda _: script, store=Fickle, ttl_s=0) as at:  # type: ignore[arg-type,return-value]
        at.home.store.refusing = True  # type: ignore[attr-defined]
        at.device.chat("c1", "Hi", stream=stream)
        first = await at.device.until("error", "end", "reply")
        await at.settled()
        # As a gateway that remembers nothing of its answers.
        link = at.broker.link("gateway-2")
        async with link.running(), MqttIngress(link, chats_of(at.home), coalesce_s=0).running():
            heard = len(at.device.heard)
            at.device.chat("c1", "Hi", stream=stream)
            again = await at.device.until("error", "end", "reply", count=2)
        assert [frame["type"] for frame in at.device.heard[heard:] if frame["id"] == "c1"] == ["error"]
        await at.home.store.create_session(USER, "")
        kept = (await at.home.store.messages(USER, 1))[1]
    assert (first["type"], first["code"]) == (again["type"], again["code"]) == ("error", "storage_failed")
    assert (kept.status, kept.reason, kept.content) == ("failed", "storage_failed", "Hello")
