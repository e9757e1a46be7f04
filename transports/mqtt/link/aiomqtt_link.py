"""Implements Link with aiomqtt and paho."""

import asyncio
import logging
import random
import time
from asyncio import Future
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiomqtt

from gateway.contract.held_news import HeldNews
from gateway.contract.host_ports import address_of
from transports.mqtt.link import aiomqtt_internals, paho_internals
from transports.mqtt.link.aiomqtt_connection import Connection
from transports.mqtt.link.aiomqtt_internals import HookedClient
from transports.mqtt.link.broker_limits import BrokerLimits
from transports.mqtt.link.client_options import refuses_retained
from transports.mqtt.link.link import BrokerAddress, Envelope, MessageHandler, Receipt, StateHandler, Will
from transports.mqtt.link.mqtt_version import speaks_mqtt_5
from transports.mqtt.link.plain_connection import PlainConnection
from transports.mqtt.link.subscriptions import Subscriptions
from transports.mqtt.link.tls import tls_context
from transports.mqtt.protocol.frames import DEFAULT_MAX_PAYLOAD

log = logging.getLogger(__name__)

FIRST_RETRY_S, LAST_RETRY_S = 0.05, 3.0
"""Range of the pauses between attempts. Replies wait 10 s for broker and worker: both must be back then."""
SETTLED_S = 5.0
"""A shorter connection counts as a failure, so that reconnecting backs off: two clients with the same id
disconnect each other again and again."""


class AiomqttLink:
    """See `Link`. client_id must not change: with a random one an old will could follow our new status."""

    def __init__(
        self,
        address: BrokerAddress,
        *,
        client_id: str,
        max_payload: int = DEFAULT_MAX_PAYLOAD,
        subscribe_qos: int = 1,
        quiet: bool = False,
        held: HeldNews | None = None,
    ) -> None:
        """Raises OSError or ssl.SSLError if a certificate file cannot be read.

        Args:
            subscribe_qos: see Subscriptions. All messages are published with QoS 1.
            quiet: log at DEBUG only.
            held: holds back what the messages of one read cause, until all of them are handled.
        """
        self.address = address
        self._client_id = client_id
        self._max_payload = max_payload
        self._limits = BrokerLimits(max_payload, time.monotonic)
        self._loss_level = logging.DEBUG if quiet else logging.WARNING
        self._tls = tls_context(address)
        self._held = held or HeldNews()
        self.subscriptions = Subscriptions(subscribe_qos)
        self._watchers: list[StateHandler] = []
        self._kind: type[Connection | PlainConnection] = Connection
        self._connection: Connection | PlainConnection | None = None
        self._away = False
        self._retains = True
        self._where = address_of(address.host, address.port)
        self._mqtt_5 = {"auto": None, "5": True, "3.1.1": False}[address.protocol]

    @property
    def client_id(self) -> str:
        return self._client_id

    @property
    def connected(self) -> bool:
        return self._connection is not None

    @property
    def tells_refusals(self) -> bool:
        return self._connection is not None and self._connection.tells_refusals

    @property
    def max_payload(self) -> int:
        return self._max_payload

    def room(self, topic: str) -> int:
        return self._limits.room(topic)

    def subscribe(self, topic_filter: str, handler: MessageHandler, *, group: str | None = None) -> None:
        self.subscriptions.add(topic_filter, handler, group)

    def watch(self, handler: StateHandler) -> None:
        self._watchers.append(handler)

    @asynccontextmanager
    async def running(self, will: Will | None = None) -> AsyncIterator[None]:
        if missing := missing_names():
            self._kind = PlainConnection
            names = ", ".join(missing)
            log.log(self._loss_level, "MQTT is slower: the installed libraries do not have %s", names)
        async with asyncio.TaskGroup() as tasks:
            keeper = tasks.create_task(self._stay_connected(will))
            try:
                yield
            finally:
                keeper.cancel()

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, envelope: Envelope | None = None
    ) -> Future[Receipt]:
        if self._connection is None:
            self._limits.check(topic, payload)
            lost: Future[Receipt] = asyncio.get_running_loop().create_future()
            lost.set_result(Receipt.LOST)
            return lost
        return self._connection.send(topic, payload, retain, envelope)

    def came_up(self, connection: Connection | PlainConnection) -> None:
        """Publish on `connection` from now on: every subscription is granted."""
        self._connection = connection
        version = "5" if connection.mqtt_5 else "3.1.1"
        lacks = f", which has no {' and no '.join(connection.lacks)}" if connection.lacks else ""
        if self._away:  # at the level of the line about the loss
            log.log(self._loss_level, "connected again by MQTT %s to %s%s", version, self._where, lacks)
        else:
            log.info("connected by MQTT %s to %s%s", version, self._where, lacks)
        self._away = False
        self._tell(True)

    async def _stay_connected(self, will: Will | None) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            try:
                await self._connect_once(will)
            except (aiomqtt.MqttError, OSError, TimeoutError) as exc:
                if self._retains and refuses_retained(exc):
                    self._retains = False
                    continue
                if not self._away:
                    log.log(self._loss_level, "no MQTT broker at %s: %s", self._where, exc or "silence")
                    self._tell(False)
                self._away = True
            except Exception:
                log.exception("the connection to the MQTT broker at %s failed", self._where)
            failures = 0 if loop.time() - began > SETTLED_S else failures + 1
            longest = min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(failures, 10))
            await asyncio.sleep(random.uniform(0.5, 1.0) * longest)

    async def _connect_once(self, will: Will | None) -> None:
        """Connect; return when the connection is lost. Raises MqttError, OSError or TimeoutError."""
        mqtt_5 = self._mqtt_5
        if mqtt_5 is None:
            mqtt_5 = await speaks_mqtt_5(self.address, self._tls)
        connection = self._kind(
            self.address,
            self.client_id,
            tls=self._tls,
            mqtt_5=mqtt_5,
            will=will,
            retains=self._retains,
            limits=self._limits,
            on_message=self.subscriptions.dispatch,
            on_up=self.came_up,
            held=self._held,
        )
        try:
            await connection.run(self.subscriptions)
            log.warning("lost the MQTT broker at %s", self._where)
            self._away = True
        finally:
            if self._connection is not None:
                self._connection = None
                self._tell(False)

    def _tell(self, connected: bool) -> None:
        for watcher in self._watchers:
            try:
                watcher(connected)
            except Exception:
                log.exception("a watcher of the connection failed")


def missing_names() -> list[str]:
    """Return the private names that Connection uses and the installed libraries no longer have."""
    client = aiomqtt.Client("nowhere.invalid")
    missing = aiomqtt_internals.missing_names(client)
    return missing or paho_internals.missing_names(HookedClient("nowhere.invalid").paho)
