"""One reply of a worker that keeps replies, as the gateway receives it. Time is moved by hand."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from gateway.contract.events import Delta, TransportEvent
from gateway.contract.reattach import Handle, Reattach, Reattachable
from gateway.contract.requests import ChatRequest, Turn
from tests.transports.mqtt.requests.test_pending_request import Gateway
from transports.mqtt.protocol.frame_codec import decode_inbox
from transports.mqtt.protocol.frames import (
    ChunkFrame,
    ReplyFrame,
    Status,
)
from transports.mqtt.requests.adopted_reply import AdoptedReply
from transports.mqtt.requests.kept_request import KeptRequest

KEEPS = Status("ready", incarnation=7, accept_s=2, max=2, keep=True)
REPLY_TO = "r/gateways/gw/replies/a"


class Desk(Gateway):
    """One reply of worker a, and what its readers got."""

    def __init__(self, *statuses: Status) -> None:
        super().__init__(*(statuses or (KEEPS,)))
        self.text = ""
        self.handles: list[Handle] = []
        self.left = False
        self.stored_ids = ["c" * 32]
        self.reattachable = Reattachable(
            self.stored_ids[0], self.handles.append, is_left=lambda: self.left, renew=self._renew
        )

    def begin(self, *texts: str, other_answers: bool = False) -> KeptRequest:
        request = ChatRequest(
            "f" * 32,
            [Turn("user", "hi")],
            deadline_s=120.0,
            reattachable=self.reattachable,
            other_answers=lambda: other_answers,
        )
        reply = KeptRequest(request, self._hear, self.requests, self.clock)
        reply.start()
        self.id = self.attempt_id()
        for number, text in enumerate(texts, 1):
            self.say(ChunkFrame(self.id, number, text))
        return reply

    def adopt(self, epoch: int = 1, find_within_s: float = 10.0) -> AdoptedReply:
        self.id = "1" * 32
        handle = {"worker": "a", "incarnation": 7, "request": self.id}
        asked = Reattach("f" * 32, handle, epoch, 120.0, self.reattachable, find_within_s=find_within_s)
        reply = AdoptedReply(asked, self._hear, self.requests, self.presence, self.clock)
        reply.start()
        return reply

    def lose_worker(self) -> None:
        known = self.presence.find("a")
        assert known is not None
        self.presence.take("a", Status("lost", incarnation=7), retained=False, now=self.clock.time())
        for reply in list(self.requests.open.values()):
            if reply.worker is known:
                reply.worker_lost("it is lost")

    def lose_broker(self) -> None:
        gone = self.presence.forget_all()
        lost = [reply for reply in self.requests.open.values() if reply.worker in gone]
        for reply in dict.fromkeys([*lost, *self.requests.all_waiting()]):
            reply.broker_lost("it is lost")

    def announce(self, incarnation: int = 7, *, retained: bool = False, **settings: Any) -> None:
        status = replace(KEEPS, incarnation=incarnation, **settings)
        self.presence.take("a", status, retained=retained, now=self.clock.time())
        worker = self.presence.find("a")
        assert worker is not None
        self.requests.worker_is_back(worker, is_live=not retained)

    def says(self, *frames: ReplyFrame) -> None:
        for frame in frames:
            self.say(frame)

    def asked(self) -> list[object]:
        return [decode_inbox(payload) for _, payload in self.link.sent[1:]]

    def _renew(self, send: Callable[[str], None]) -> None:
        self.storing = send

    def store_id(self) -> None:
        self.stored_ids.append(f"{len(self.stored_ids)}" * 32)
        self.storing(self.stored_ids[-1])

    def _hear(self, events: Sequence[TransportEvent]) -> None:
        for event in events:
            self.text += event.text if isinstance(event, Delta) else ""


def silence(desk: Desk) -> None:
    desk.clock.advance(desk.requests.idle_s)
