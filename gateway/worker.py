"""`sluice worker`: a llama.cpp server behind a broker, served to gateways over MQTT."""

import asyncio
import logging
import signal

from gateway.brokers import broker_of
from gateway.settings import Settings
from transports.llama.transport import LlamaTransport
from transports.mqtt.worker import Worker

log = logging.getLogger("sluice.worker")
