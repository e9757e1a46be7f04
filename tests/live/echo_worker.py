"""A worker as a program of its own, to be killed: python -m tests.live.echo_worker PORT NAME.

It echoes the last turn; `hold ...` is echoed without an end, `silent` is taken and never answered.
"""

import asyncio
import sys
from collections.abc import Iterable

from gateway.contract.content import text_of
from gateway.contract.events import Delta
from gateway.contract.requests import ChatRequest
from transports.mqtt.link.aiomqtt_link import AiomqttLink
from transports.mqtt.link.link import BrokerAddress
from transports.mqtt.worker.worker import Worker
from transports.scripted import ScriptedTransport, Step, tokens


def script(request: ChatRequest) -> Iterable[Step]:
    text = text_of(request.turns[-1].content)
    if text == "silent":
        return []
    if text.startswith("hold"):
        return [[Delta(text)]]
    return tokens(*text)


async def main(port: int, name: str) -> None:
    link = AiomqttLink(BrokerAddress("127.0.0.1", port), client_id=name)
    async with Worker(ScriptedTransport(script), link, max_concurrent=2).running():
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
