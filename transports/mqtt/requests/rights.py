"""Finds the topics on which the broker does not let a gateway publish, by trying them."""

import asyncio
from collections.abc import Sequence
from secrets import token_hex

from transports.mqtt.link.link import Link, Receipt
from transports.mqtt.protocol.topics import down_topic, inbox_topic

ANSWER_S = 5.0


async def refused_topics(link: Link, root: str) -> Sequence[str] | None:
    """Publish to a worker and to a device that do not exist. Return the refused topics, with `+` for a name.

    None if the link is not connected, or its broker reports no refusals, as with MQTT 3.1.1. The gateway's
    own status is not tried: a refusal there is a problem of its health. Subscriptions are granted while the
    link is connected.
    """
    if not link.tells_refusals:
        return None
    nobody = f"doctor-{token_hex(4)}"
    tried = [inbox_topic(root, nobody), down_topic(root, nobody)]
    try:
        async with asyncio.timeout(ANSWER_S):
            receipts = await asyncio.gather(*(link.publish(topic, b"{}") for topic in tried))
    except TimeoutError:
        return None
    return [
        topic.replace(nobody, "+")
        for topic, receipt in zip(tried, receipts, strict=True)
        if receipt is Receipt.REFUSED
    ]
