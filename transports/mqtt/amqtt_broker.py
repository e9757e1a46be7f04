"""amqtt, a broker in Python that runs in this process."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from transports.mqtt.link.link import BrokerAddress


@asynccontextmanager
async def amqtt_broker(address: BrokerAddress) -> AsyncIterator[None]:
    """Run amqtt at `address` until the block ends. Raises RuntimeError if it is missing or cannot start."""
    try:
        from amqtt.broker import Broker
        from amqtt.errors import BrokerError
    except ImportError as exc:
        raise RuntimeError("no MQTT broker: install mosquitto, or amqtt from PyPI") from exc
    for name in ("amqtt", "transitions", "websockets"):
        logging.getLogger(name).setLevel(logging.WARNING)
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{address.host}:{address.port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    # amqtt awaits while it iterates over its subscriptions. If a client subscribes or leaves meanwhile, amqtt
    # raises, and never answers the client that has just connected.
    if hasattr(broker, "_subscriptions"):
        broker._subscriptions = CopiedOnRead()
    try:
        await broker.start()
    except BrokerError as exc:
        raise RuntimeError(f"amqtt does not start: {exc}") from exc
    try:
        yield
    finally:
        await broker.shutdown()


class CopiedOnRead(dict[str, list[object]]):
    """Subscriptions by topic filter. Iterating goes over a copy, so that they may change meanwhile."""

    def __iter__(self) -> Iterator[str]:
        return iter(list(super().__iter__()))

    def items(self) -> list[tuple[str, list[object]]]:  # type: ignore[override]  # a list in place of a view
        return [(topic_filter, list(clients)) for topic_filter, clients in super().items()]
