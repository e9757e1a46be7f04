"""One chat of a device, from its question to the last frame of its answer."""

from gateway.contract.errors import GatewayError, NotFound
from gateway.contract.events import Cancelled, Failed, Finished
from gateway.contract.ingress import Ask, DeviceChat, ReplyHandle
from transports.mqtt.devices.telling import Telling
from transports.mqtt.protocol.device_frames import Chat

_TERMINAL = (Finished, Cancelled, Failed)


class OpenChat:
    """telling: brings the device the answer."""

    def __init__(self, device: str, frame: Chat, telling: Telling) -> None:
        self.question = DeviceChat(device, frame.id, frame.text, frame.session)
        self.telling = telling
        self._reply: ReplyHandle | None = None
        self._stopped = False

    async def answer(self, ask: Ask) -> bool:
        """Ask, and tell the device the answer; True if it is certain that all of it arrived."""
        try:
            reply = await ask(self.question)
            if reply is not None and not isinstance(reply, _TERMINAL):
                self._reply = reply
                if self._stopped:
                    reply.stop()
                try:
                    return await self.telling.tell(reply.reading)
                except NotFound:
                    reply = await ask(self.question)  # It ended while the device was away: the store has it.
            if not isinstance(reply, _TERMINAL):
                return False  # Another gateway answers.
            return await self.telling.tell_end(reply)
        finally:
            self.telling.close()

    def fail(self, error: GatewayError) -> None:
        """Say that it cannot be answered, or not to its end."""
        self.telling.fail(error)

    def ask_again(self) -> None:
        """It came once more: the device may have heard nothing."""
        self.telling.accept_again()

    def stop(self) -> None:
        """End it as its user wants it; again: nothing."""
        self._stopped = True
        if self._reply is not None:
            self._reply.stop()
