"""A worker says one last word of each request, whatever comes between."""

import asyncio

import pytest

from gateway.contract.events import Done, ToolCall
from tests.transports.mqtt.memory_link import MemoryBroker
from transports.mqtt.protocol.frame_codec import decode_reply, encode
from transports.mqtt.protocol.frames import (
    CancelFrame,
    EndFrame,
    ErrorFrame,
    MessageField,
    RequestFrame,
    Whole,
)
from transports.mqtt.worker.frame_sender import UNANSWERED_MAX
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport

REPLIES = "r/gateways/gw/replies/w"
INBOX = "r/workers/w/inbox"


@pytest.mark.parametrize("then", ["its deadline", "a cancel", "the worker's end"])
async def test_nothing_follows_an_end_that_the_broker_has_not_acknowledged(then: str) -> None:
    link = MemoryBroker().link("w")
    calls = [ToolCall(str(number), "add", "{}") for number in range(2 * UNANSWERED_MAX)]
    model = ScriptedTransport(lambda _: [[Done("stop", whole=calls)]])
    worker = Worker(model, link, root="r", coalesce_s=0, heartbeat_s=60)
    async with asyncio.timeout(30), worker.running():
        await link.published()
        link.stuck = True
        deadline_s = 0.5 if then == "its deadline" else 60
        request = RequestFrame("1" * 32, REPLIES, [MessageField("user", "Hi")], deadline_s=deadline_s)
        link.deliver(INBOX, encode(request), False)
        for _ in range(20):
            await asyncio.sleep(0)
        assert last_words(link.sent) == ["EndFrame"]
        assert worker.busy, "it waits for the broker"
        if then == "a cancel":
            link.deliver(INBOX, encode(CancelFrame(request.id)), False)
        if then == "the worker's end":
            worker._requests.stop_all()
        link.stuck = False
        await worker.idle()
    assert last_words(link.sent) == ["EndFrame"]


def last_words(sent: list[tuple[str, bytes]]) -> list[str]:
    frames = [decode_reply(payload) for topic, payload in sent if topic == REPLIES]
    return [type(frame).__name__ for frame in frames if isinstance(frame, EndFrame | Whole | ErrorFrame)]
