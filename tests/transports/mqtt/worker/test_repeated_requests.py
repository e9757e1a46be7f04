"""A request that comes again after more others than the worker remembers."""

from uuid import uuid4

import pytest

from tests.transports.mqtt.worker.test_worker import INBOX, REPLIES, Scene
from transports.mqtt.protocol.frame_codec import encode
from transports.mqtt.protocol.frames import CancelFrame, MessageField, RequestFrame
from transports.mqtt.worker.running_requests import REMEMBERED_IDS
from transports.scripted import tokens


@pytest.mark.parametrize("keep_s", [0.0, 60.0])
async def test_a_request_that_is_running_or_kept_is_not_started_again(keep_s: float) -> None:
    request = RequestFrame(uuid4().hex, REPLIES, [MessageField("user", "hi")], keep_s=keep_s)
    async with Scene(lambda _: tokens("a")).running() as scene:
        scene.link.deliver(INBOX, encode(request), False)
        if keep_s:
            await scene.worker.idle()
        for _ in range(REMEMBERED_IDS):
            scene.link.deliver(INBOX, encode(CancelFrame(uuid4().hex)), False)
        scene.link.deliver(INBOX, encode(request), False)
        await scene.worker.idle()
        assert scene.worker.dropped["repeated request"] == 1
        assert len(scene.transport.seen_requests) == 1
