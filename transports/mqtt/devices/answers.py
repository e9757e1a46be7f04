"""Remembers which chats were answered, so that a repeated one gets no second answer."""

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from gateway.contract.ingress import DeviceChat

REMEMBERED_ANSWERS = 1_000
CROSSING_S = 5.0
"""Seconds in which a repeated chat gets no answer: the device may have sent it before it got the answer.
Later it has lost the answer: a broker acknowledges what it sends into a dead connection."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A chat whose last frame was sent. until: before this time a repeated chat gets no answer."""

    digest: bytes
    until: float

    def differs_from(self, text: str) -> bool:
        return self.digest != _digest(text)


class Answers:
    """The latest answers."""

    def __init__(self) -> None:
        self._answered: OrderedDict[tuple[str, str], Answered] = OrderedDict()

    def find(self, device: str, id: str) -> Answered | None:
        return self._answered.get((device, id))

    def remember(self, chat: DeviceChat) -> None:
        until = asyncio.get_running_loop().time() + CROSSING_S
        self._answered[chat.device, chat.id] = Answered(_digest(chat.text), until)
        if len(self._answered) > REMEMBERED_ANSWERS:
            self._answered.popitem(last=False)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
