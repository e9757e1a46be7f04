"""Shared by all replies of one MQTT transport: the open requests by id, and the sending of frames."""

import logging
import re
from asyncio import Future
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.contract.embeddings import EmbedRequest
from gateway.contract.errors import GatewayError, ProtocolViolation, TooLarge
from gateway.contract.random_names import random_hex
from gateway.contract.requests import ChatRequest
from transports.mqtt.link.link import Envelope, Link, Receipt
from transports.mqtt.protocol.frame_codec import encode, encode_embed, encode_request, is_unlisted
from transports.mqtt.protocol.frames import ForgetFrame, InboxFrame, ResumeFrame
from transports.mqtt.protocol.topics import inbox_topic, reply_topic
from transports.mqtt.requests.cancels import Cancels
from transports.mqtt.requests.dispatch import Dispatch
from transports.mqtt.requests.presence import KnownWorker

if TYPE_CHECKING:
    from transports.mqtt.requests.kept_request import KeptRequest
    from transports.mqtt.requests.pending_request import PendingRequest

log = logging.getLogger(__name__)

EXPIRY_S = 60.0
"""Of frames that are no requests."""
SESSION_BYTES = 256
"""More than the length of a session's key."""

SEARCHED_BYTES = 65_536
_ANY_ID = re.compile(rb"[0-9a-f]{32}")
_LONGEST_NAME = "w" * 64


def keep_s_of(request: ChatRequest | EmbedRequest, worker: KnownWorker) -> float:
    """Return the seconds for which the worker shall keep the reply without a gateway; 0 if it cannot."""
    if isinstance(request, EmbedRequest) or request.reattachable is None or not worker.status.keep:
        return 0.0
    return request.reattachable.keep_s


@dataclass(slots=True)
class OpenRequests:
    """open: replies that wait for frames, by attempt id. idle_s: longest silence of a worker, in seconds.

    incarnation: of this gateway.
    waiting: replies that wait for a worker to be back, by its name.
    cancels: sends cancels to workers.
    """

    link: Link
    dispatch: Dispatch
    root: str
    idle_s: float
    incarnation: int = 0
    waiting: "dict[str, dict[KeptRequest, None]]" = field(default_factory=dict)
    cancels: Cancels = field(init=False)
    open: dict[str, "PendingRequest"] = field(default_factory=dict)
    new_id: Callable[[], str] = random_hex

    def __post_init__(self) -> None:
        self.cancels = Cancels(self._send)

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
            payload = encode_request(request, **settings, keep_s=keep_s_of(request, worker))
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

    def reject(self, sender: KnownWorker, payload: bytes, violation: ProtocolViolation) -> None:
        """End the reply to which an undecodable frame belongs, if that is known."""
        if not sender.open or is_unlisted(payload):
            return
        reply = self.owner_of(sender, payload)
        if reply is not None:
            name = sender.name
            reply.reject(ProtocolViolation(f"worker {name} sent a frame that cannot be read: {violation}"))

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

    def send_resume(self, worker: KnownWorker, attempt_id: str, epoch: int) -> None:
        """Ask for all frames of a reply."""
        reply_to = reply_topic(self.root, self.link.client_id, worker.name)
        self._send(worker.name, ResumeFrame(attempt_id, reply_to, epoch, self.incarnation))

    def send_forget(self, worker: str, attempt_id: str, epoch: int) -> None:
        """Tell the worker that it can drop a reply."""
        self._send(worker, ForgetFrame(attempt_id, epoch))

    def waits_for(self, worker: str, reply: "KeptRequest") -> None:
        self.waiting.setdefault(worker, {})[reply] = None

    def waits_no_more(self, worker: str, reply: "KeptRequest") -> None:
        waiting = self.waiting.get(worker, {})
        waiting.pop(reply, None)
        if not waiting:
            self.waiting.pop(worker, None)

    def all_waiting(self) -> "list[KeptRequest]":
        return [reply for replies in self.waiting.values() for reply in replies]

    def broker_is_back(self) -> None:
        """The gateway is connected again."""
        for reply in self.all_waiting():
            reply.broker_is_back()

    def worker_is_back(self, worker: KnownWorker, *, is_live: bool) -> None:
        """The worker has announced itself: continue the replies that wait for it.

        is_live: see KeptRequest.worker_is_back.
        """
        self.cancels.worker_is_back(worker.name, keeps=worker.status.keep)
        for reply in list(self.waiting.get(worker.name, ())):
            reply.worker_is_back(worker, is_live=is_live)

    def _send(self, worker: str, frame: InboxFrame) -> Future[Receipt] | None:
        try:
            topic = inbox_topic(self.root, worker)
            return self.link.publish(topic, encode(frame), envelope=Envelope(EXPIRY_S))
        except GatewayError as error:
            log.warning("the %s to worker %s was not sent: %s", type(frame).__name__, worker, error)
            return None
