"""One connection to a broker with aiomqtt's public interface only: slower, without the broker's limits."""

import asyncio
import math
import ssl
from asyncio import Future
from collections.abc import Callable
from contextlib import suppress

import aiomqtt

from gateway.contract.errors import Overloaded
from gateway.contract.held_news import HeldNews
from transports.mqtt.link.aiomqtt_connection import raise_if_cancelled, settle
from transports.mqtt.link.broker_limits import BrokerLimits
from transports.mqtt.link.client_options import (
    WAITING,
    check_granted,
    client_options,
    is_refusal,
    properties_of,
)
from transports.mqtt.link.link import BrokerAddress, Envelope, MessageHandler, Receipt, Will
from transports.mqtt.link.subscriptions import Subscriptions


class PlainConnection:
    """Replaces Connection if a private name of a library is missing. Used for one connection.

    Needs a task per sent and per received message. It does not see the limits in CONNACK and the reasons in
    PUBACK: every acknowledged message counts as TAKEN.
    """

    tells_refusals = False

    def __init__(
        self,
        address: BrokerAddress,
        client_id: str,
        *,
        tls: ssl.SSLContext | None,
        mqtt_5: bool,
        will: Will | None,
        retains: bool,
        limits: BrokerLimits,
        on_message: MessageHandler,
        on_up: Callable[["PlainConnection"], None],
        held: HeldNews,
    ) -> None:
        """
        Args:
            on_up: called when every subscription is granted, before the first message arrives.
            held: not used, since messages arrive one by one.
        """
        options = client_options(address, client_id, tls=tls, mqtt_5=mqtt_5, will=will, retains=retains)
        self.mqtt_5 = mqtt_5
        self._client = aiomqtt.Client(**options)
        self._client.pending_calls_threshold = WAITING
        self._retains = retains
        self._limits = limits
        self._hear = on_message
        self._on_up = on_up
        self._tasks: asyncio.TaskGroup
        self._sending: set[asyncio.Task[None]] = set()
        self._lost = False

    @property
    def lacks(self) -> list[str]:
        """As Connection.lacks."""
        return [] if self._retains else ["retained messages"]

    async def run(self, subscriptions: Subscriptions) -> None:
        """As Connection.run."""
        async with self._client:
            await self._subscribe(subscriptions)
            raise_if_cancelled()
            async with asyncio.TaskGroup() as self._tasks:
                try:
                    self._on_up(self)
                    await self._hear_messages()
                finally:
                    self._lost = True
                    for task in self._sending:
                        task.cancel()

    def send(self, topic: str, payload: bytes, retain: bool, envelope: Envelope | None) -> Future[Receipt]:
        """As Connection.send."""
        self._limits.check(topic, payload)
        if len(self._sending) >= WAITING:
            raise Overloaded("too many messages wait for the MQTT broker")
        receipt: Future[Receipt] = asyncio.get_running_loop().create_future()
        if self._lost:
            receipt.set_result(Receipt.LOST)
            return receipt
        # Tasks start in the order of their creation, and each passes its message on before it waits.
        task = self._tasks.create_task(
            self._publish(topic, payload, retain and self._retains, envelope, receipt)
        )
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        task.add_done_callback(lambda _: settle(receipt, Receipt.LOST))
        return receipt

    async def _hear_messages(self) -> None:
        with suppress(aiomqtt.MqttError):
            async for message in self._client.messages:
                payload = message.payload
                heard = payload if isinstance(payload, bytes) else bytes(str(payload), "utf-8")
                self._hear(str(message.topic), heard, bool(message.retain))

    async def _publish(
        self, topic: str, payload: bytes, retain: bool, envelope: Envelope | None, receipt: Future[Receipt]
    ) -> None:
        properties = properties_of(envelope) if envelope and self.mqtt_5 else None
        with suppress(aiomqtt.MqttError):
            # No deadline: the broker may be slow, and `run` cancels this when the connection is lost.
            await self._client.publish(topic, payload, 1, retain, properties, timeout=math.inf)
            self._limits.took(len(topic) + len(payload))
            settle(receipt, Receipt.TAKEN)

    async def _subscribe(self, subscriptions: Subscriptions) -> None:
        """Subscribe. Try shared subscriptions first: aiomqtt does not tell if the broker has them."""
        shared, own = (subscriptions.filters(shared=share) for share in (self.mqtt_5, False))
        if not shared:
            return
        codes = await self._client.subscribe(shared)
        if shared != own and any(map(is_refusal, codes)):
            shared, codes = own, await self._client.subscribe(own)
        check_granted(shared, codes)
