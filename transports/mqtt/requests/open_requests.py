"""Shared by all replies of one MQTT transport: the open requests by id, and the sending of frames."""

import logging
import re
from asyncio import Future
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.contract.embeddings import EmbedRequest
from gateway.contract.errors import GatewayError, TooLarge
from gateway.contract.random_names import random_hex
from gateway.contract.requests import ChatRequest
from transports.mqtt.link.link import Envelope, Link, Receipt
from transports.mqtt.protocol.frame_codec import encode, encode_embed, encode_request
from transports.mqtt.protocol.frames import CancelFrame
from transports.mqtt.protocol.topics import inbox_topic, reply_topic
from transports.mqtt.requests.dispatch import Dispatch
from transports.mqtt.requests.presence import KnownWorker

if TYPE_CHECKING:
    from transports.mqtt.requests.pending_request import PendingRequest

log = logging.getLogger(__name__)

CANCEL_EXPIRY_S = 60.0
SESSION_BYTES = 256
"""More than the length of a session's key."""

SEARCHED_BYTES = 65_536
_ANY_ID = re.compile(rb"[0-9a-f]{32}")
_LONGEST_NAME = "w" * 64


@dataclass(frozen=True, slots=True)
class OpenRequests:
    """open: replies that wait for frames, by attempt id. idle_s: longest silence of a worker, in seconds."""

    link: Link
    dispatch: Dispatch
    root: str
    idle_s: float
    open: dict[str, "PendingRequest"] = field(default_factory=dict)
    new_id: Callable[[], str] = random_hex

    def send_request(
        self, request: ChatRequest | EmbedRequest, worker: KnownWorker, attempt_id: str, deadline_s: float
    ) -> Future[Receipt]:
        """Send a request. Raises TooLarge, Unprocessable or Overloaded if it cannot be sent."""
        reply_to = reply_topic(self.root, self.link.client_id, worker.name)
        settings: dict[str, Any] = {"attempt_id": attempt_id, "reply_to": reply_to}
        settings |= {"deadline_s": deadline_s, "idle_s": self.idle_s}
        if isinstance(request, EmbedRequest):
            payload = encode_embed(request, **settings)
        else:
            payload = encode_request(request, **settings)
        envelope = Envelope(deadline_s, reply_to, attempt_id, request.trace)
        return self.link.publish(inbox_topic(self.root, worker.name), payload, envelope=envelope)

    def check(self, request: ChatRequest) -> None:
        """Raise TooLarge for a request that does not fit into a message, Unprocessable for a lone surrogate.

        The request may still lack its session.
        """
        topic = inbox_topic(self.root, _LONGEST_NAME)
        reply_to = reply_topic(self.root, self.link.client_id, _LONGEST_NAME)
        payload = encode_request(
            request, attempt_id=_LONGEST_NAME, reply_to=reply_to, deadline_s=1 / 3, idle_s=self.idle_s
        )
        size, room = len(payload) + SESSION_BYTES, self.link.room(topic)
        if size > room:
            raise TooLarge(
                f"The conversation takes {size} bytes as an MQTT message, and at most {room} can be sent: "
                "send a shorter message or a smaller attachment, or start a new session."
            )

    def owner_of(self, sender: KnownWorker, payload: bytes) -> "PendingRequest | None":
        """Return the open reply to which an undecodable frame of `sender` belongs; None if that is unknown.

        It is the reply whose id is in the frame, or else the only one of this worker.
        """
        for found in _ANY_ID.findall(payload[:SEARCHED_BYTES]):
            reply = self.open.get(found.decode())
            if reply is not None and reply.worker is sender:
                return reply
        if sender.open != 1:
            return None
        return next((reply for reply in self.open.values() if reply.worker is sender), None)

    def send_cancel(self, worker: KnownWorker, attempt_id: str) -> None:
        """Send a cancel. If the link refuses it, log that."""
        topic, envelope = inbox_topic(self.root, worker.name), Envelope(CANCEL_EXPIRY_S)
        try:
            self.link.publish(topic, encode(CancelFrame(attempt_id)), envelope=envelope)
        except GatewayError as error:
            log.warning("the cancel to worker %s was not sent: %s", worker.name, error)
