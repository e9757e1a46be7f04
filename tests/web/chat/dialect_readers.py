"""Readers of every dialect that disconnect and return as its clients do, for tests/web/scene.py."""

import json
import re

from gateway.web.chat.ai_sdk_chats import ChatResume
from gateway.web.chat.ai_sdk_form import UiChatForm
from gateway.web.chat.messages import MessageStream
from gateway.web.chat.model_api import StreamApi
from gateway.web.chat.responses_api import CreateResponse, ReadResponse
from gateway.web.chat.resume import ResumeStream
from gateway.web.chat.unified_form import unified_form
from gateway.web.services import Services
from tests.contract.rig_dialects import DialectRig
from tests.dialects.order.frames import Heard
from tests.web.scene import Request


class DialectReader:
    """A client of one dialect, chosen by `?format=`.

    Each connection begins again, since the dialect has no event ids.
    """

    def __init__(self, rig: DialectRig) -> None:
        self._rig = rig
        self._received: list[bytes] = []

    @property
    def format(self) -> str:
        return f"format={self._rig.name}"

    def ask(self, gateway: Services, stream_id: str) -> Request:
        body = {"content": "Hi", "resumable": True}
        return Request(MessageStream(gateway, unified_form), stream_id, body, self.format)

    def come_back(self, gateway: Services, stream_id: str) -> Request:
        return Request(ResumeStream(gateway), stream_id, query=self.format)

    def take(self, received: bytes) -> None:
        self._received.append(received)

    def heard(self, last: bytes) -> Heard:
        """Check the order of all connections' streams. last: what the last connection has received."""
        for received in self._received:
            self._check_beginning(received)
        return self._rig.hear(last)

    def _check_beginning(self, received: bytes) -> None:
        """Check the whole frames of a stream that may have been cut anywhere."""
        if self._rig.dialect.media_type.startswith("text/plain"):
            return
        frame_end = b"\n" if self._rig.dialect.media_type == "application/x-ndjson" else b"\n\n"
        whole, found, _ = received.rpartition(frame_end)
        try:
            self._rig.hear(whole + found)
        except AssertionError as error:
            if not str(error).startswith(("the stream just ends", "no [DONE]")):
                raise


class EventIdReader(DialectReader):
    """It goes on behind the last event id, and appends what comes."""

    def __init__(self, rig: DialectRig) -> None:
        super().__init__(rig)
        self._last_id: str | None = None

    def come_back(self, gateway: Services, stream_id: str) -> Request:
        return Request(ResumeStream(gateway), stream_id, query=self.format, last_event_id=self._last_id)

    def take(self, received: bytes) -> None:
        """Keep the frames up to the last event id: the event behind it was cut, and is sent again."""
        frames = re.sub(rb"(?m)^retry: \d+\n", b"", received).split(b"\n\n")[:-1]
        while frames and b"\nid: " not in b"\n" + frames[-1]:
            frames.pop()
        if frames:
            self._last_id = frames[-1].rpartition(b"id: ")[2].decode()
            self._received += [frame + b"\n\n" for frame in frames]

    def heard(self, last: bytes) -> Heard:
        assert last == b""
        return self._rig.hear(b"".join(self._received))


class ResponsesReader(DialectReader):
    """It reads a response's events behind the last `sequence_number`."""

    def __init__(self, rig: DialectRig) -> None:
        super().__init__(rig)
        self._last_number: int | None = None

    def ask(self, gateway: Services, stream_id: str) -> Request:
        return Request(CreateResponse(gateway), stream_id, {"input": "Hi", "stream": True})

    def come_back(self, gateway: Services, stream_id: str) -> Request:
        after = "" if self._last_number is None else f"&starting_after={self._last_number}"
        return Request(ReadResponse(gateway), f"resp_{stream_id}", query=f"stream=true{after}")

    def take(self, received: bytes) -> None:
        for frame in received.split(b"\n\n")[:-1]:
            self._received.append(frame + b"\n\n")
            self._last_number = json.loads(frame.rpartition(b"data: ")[2])["sequence_number"]

    def heard(self, last: bytes) -> Heard:
        self.take(last)
        return self._rig.hear(b"".join(self._received))


class UiChatReader(DialectReader):
    """A page with useChat: it resumes the chat while its reply runs. Later the stream is read by its id."""

    def ask(self, gateway: Services, stream_id: str) -> Request:
        message = {"id": "m1", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}
        body = {"id": stream_id, "messages": [message], "resumable": True}
        return Request(StreamApi(gateway, UiChatForm), stream_id, body)

    def come_back(self, gateway: Services, stream_id: str) -> Request:
        if any(run.stream_id == stream_id for run in gateway.runs.all()):
            return Request(ChatResume(gateway), stream_id)
        return super().come_back(gateway, stream_id)
