"""One chat of a device, from the question to the last frame of the answer."""

from gateway.contract.errors import GatewayError, NotFound
from gateway.contract.events import Cancelled, Failed, Finished
from gateway.contract.ingress import Ask, DeviceChat, Noted, ReplyHandle
from transports.mqtt.devices.reply_delivery import ReplyDelivery
from transports.mqtt.protocol.device_frames import Chat

_TERMINAL = (Finished, Cancelled, Failed)


class OpenChat:
    """One chat in progress. delivery: sends the answer to the device."""

    def __init__(self, device: str, frame: Chat, delivery: ReplyDelivery) -> None:
        self.question = DeviceChat(device, frame.id, frame.text, frame.session, frame.ask)
        self.delivery = delivery
        self._reply: ReplyHandle | None = None
        self._stopped = False

    async def answer(self, ask: Ask) -> None:
        """Ask the question and send the answer to the device."""
        try:
            reply = await ask(self.question)
            if isinstance(reply, Noted):
                await self.delivery.send_note(reply.session_key)
                return
            if reply is not None and not isinstance(reply, _TERMINAL):
                self._reply = running = reply
                if self._stopped:
                    reply.stop()
                if reply.was_begun:
                    self.delivery.begin_anew()
                try:
                    await self.delivery.send(reply.reading, lambda: running.goes_on_elsewhere)
                    return
                except NotFound:
                    reply = await ask(self.question)  # ended while the device was away: the store has it
            if isinstance(reply, _TERMINAL):  # else another gateway answers
                await self.delivery.send_end(reply)
        finally:
            self.delivery.close()

    def fail(self, error: GatewayError) -> None:
        """Send the error that ends the answer."""
        self.delivery.fail(error)

    def ask_again(self) -> None:
        """The device sent the chat again: it may have received nothing."""
        self.delivery.accept_again()

    def stop(self) -> None:
        """Stop the reply at the user's request. A second call does nothing."""
        self._stopped = True
        if self._reply is not None:
            self._reply.stop()
