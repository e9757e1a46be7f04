"""Turns devices' chats into questions to the gateway, and sends replies to devices."""

import asyncio
import logging
from asyncio import Task
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from gateway.contract.errors import (
    Conflict,
    Draining,
    FrameGap,
    GatewayError,
    NotFound,
    Overloaded,
    ProtocolViolation,
    UpstreamFailed,
)
from gateway.contract.ingress import Ask, DeviceWatch, ReplyHandle, StopChat
from gateway.contract.room_events import RoomEvent
from transports.mqtt.devices.answers import Answers
from transports.mqtt.devices.bounded_sender import BoundedSender
from transports.mqtt.devices.device_chat import OpenChat
from transports.mqtt.devices.down_writer import DownWriter, Rhythm, envelope_for
from transports.mqtt.devices.known_devices import Device, KnownDevices
from transports.mqtt.devices.reply_delivery import ReplyDelivery
from transports.mqtt.devices.room_sender import RoomSender
from transports.mqtt.dropped_messages import Dropped
from transports.mqtt.link.link import Link
from transports.mqtt.protocol.device_frames import Chat, ChatError, decode_cancel, decode_chat
from transports.mqtt.protocol.error_frames import error_frame
from transports.mqtt.protocol.frame_codec import decode_status, encode
from transports.mqtt.protocol.topics import (
    checked_root,
    down_topic,
    every_chat,
    every_chat_cancel,
    every_device_status,
    status_sender,
)

log = logging.getLogger(__name__)

GROUP = "gateways"
CHATS_PER_DEVICE = 4
MAX_CHATS = 2_000
GOODBYE_S = 1.0


async def ignored(device: str, id: str) -> None:
    """Stop nothing."""


class MqttIngress:
    """Implements gateway.contract.ingress.Ingress.

    Args:
        link: run by the caller.
        stop: see StopChat; called for chats that are not open here.
        idle_s: a third of it is the longest silence towards a device that waits for its answer.
        grace_s: seconds that an answer waits for a disconnected device or broker.
        coalesce_s, coalesce_bytes: see ReplyWriter.
        retry_s: see ReplyDelivery.
    """

    def __init__(
        self,
        link: Link,
        ask: Ask,
        *,
        stop: StopChat = ignored,
        root: str = "sluice/v1",
        idle_s: float = 30.0,
        grace_s: float = 30.0,
        coalesce_s: float = 0.05,
        coalesce_bytes: int = 512,
        retry_s: float = 1.0,
    ) -> None:
        self._link = link
        self._ask = ask
        self._stop = stop
        self._root = checked_root(root)
        self._rhythm = Rhythm(coalesce_s, coalesce_bytes, alive_s=idle_s / 3)
        self._grace_s = grace_s
        self._retry_s = retry_s
        self._devices = KnownDevices()
        self._answers = Answers()
        self._tasks: asyncio.TaskGroup | None = None
        self._working: set[Task[None]] = set()
        self._taken_over: list[tuple[str, str, Callable[[], Awaitable[str]]]] = []
        self._errors = BoundedSender(link)
        self.dropped = Dropped()
        link.subscribe(every_chat(root), self._hear_chat, group=GROUP)
        link.subscribe(every_chat_cancel(root), self._hear_cancel)
        link.subscribe(every_device_status(root), self._hear_status)
        link.watch(self._devices.connection_changed)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as self._tasks:
            for taken_over in self._taken_over:
                self.go_on(*taken_over)
            try:
                yield
            finally:
                self._tasks = None
                with suppress(TimeoutError):
                    async with asyncio.timeout(GOODBYE_S):
                        await self.idle()
                for task in self._working:
                    task.cancel()

    async def idle(self) -> None:
        """Wait until every chat and every mirrored reply has been sent to its end."""
        while self._working:
            await asyncio.wait(self._working)

    def has_heard(self, device: str) -> bool:
        return device in self._devices

    def is_away(self, device: str) -> bool:
        return self._devices.is_away(device)

    def go_on(self, device: str, id: str, text: Callable[[], Awaitable[str]]) -> None:
        """See Ingress."""
        if self._tasks is None:
            self._taken_over.append((device, id, text))
        else:
            self._start(self._tasks, self._go_on(device, id, text))

    async def _go_on(self, name: str, id: str, text: Callable[[], Awaitable[str]]) -> None:
        try:
            frame = Chat(id=id, text=await text())
        except GatewayError as error:
            log.warning("device %s gets the answer to chat %s when it asks again: %s", name, id, error)
            return
        device = self._devices.hear(name)
        if id in device.chats:  # it has just asked again
            return
        delivery = self._delivery(name, id, whole=True)
        if not self._link.connected:
            delivery.leave()
        chat = device.chats[id] = OpenChat(name, frame, delivery)
        await self._answer(device, chat)

    def mirror(self, device: str, reply: ReplyHandle) -> None:
        known = self._devices.hear(device)
        if reply.stream_id not in known.mirrors and self._tasks is not None:
            delivery = self._delivery(device, reply.stream_id, mirror=True)
            known.mirrors[reply.stream_id] = delivery
            self._start(self._tasks, self._show(known, reply, delivery))

    def watch(self, watch: DeviceWatch) -> None:
        self._devices.watch = watch

    def tell(self, device: str, event: RoomEvent) -> None:
        known = self._devices.get(device) or self._devices.hear(device)
        if known.rooms is None:
            known.rooms = RoomSender(self._link, down_topic(self._root, device))
        if dropped := known.rooms.send(event):
            self.dropped["frame of a room"] += dropped

    def _hear_chat(self, topic: str, payload: bytes, retained: bool) -> None:
        try:
            name = status_sender(topic)
            if retained:
                raise ProtocolViolation("a chat must not be retained")
            frame = decode_chat(payload, self._link.max_payload)
        except ProtocolViolation as violation:
            self.dropped.drop("chat", topic, violation)
            return
        if isinstance(frame, ChatError):
            self.dropped.drop("chat", topic, ProtocolViolation(frame.message))
            if not self._errors.send(down_topic(self._root, name), encode(frame), frame.id):
                self.dropped["error of a chat"] += 1
            return
        device = self._devices.hear(name)
        self._devices.chatted(device)
        self._take(device, frame)

    def _take(self, device: Device, frame: Chat) -> None:
        """Start one chat, once: QoS 1 may repeat it, and so does a device that receives no answer."""
        known = device.chats.get(frame.id)
        answered = self._answers.find(device.name, frame.id)
        if (known is not None and known.question.text != frame.text) or (
            answered is not None and answered.differs_from(frame.text)
        ):
            self._refuse(device, frame.id, Conflict("This id was used before, with another text."))
        elif known is not None:
            known.ask_again()
        elif answered is not None and asyncio.get_running_loop().time() < answered.until:
            self.dropped["repeated chat"] += 1
        elif self._tasks is None:
            self._refuse(
                device, frame.id, Draining("The gateway is starting or stopping: try again in a moment.")
            )
        elif len(device.chats) >= CHATS_PER_DEVICE or len(self._working) >= MAX_CHATS:
            self._refuse(device, frame.id, Overloaded("Too many chats are open: try again later."))
        else:
            delivery = self._delivery(device.name, frame.id, whole=not frame.stream)
            chat = OpenChat(device.name, frame, delivery)
            device.chats[frame.id] = chat
            self._start(self._tasks, self._answer(device, chat))

    def _hear_cancel(self, topic: str, payload: bytes, retained: bool) -> None:
        try:
            name = self._sender(topic, payload)
            if retained:
                raise ProtocolViolation("a cancel must not be retained")
            cancel = decode_cancel(payload)
        except ProtocolViolation as violation:
            self.dropped.drop("cancel", topic, violation)
            return
        chat = self._devices.chat(name, cancel.id)
        if chat is not None:
            chat.stop()
        elif self._tasks is not None and len(self._working) < MAX_CHATS:
            self._start(self._tasks, self._stop_elsewhere(name, cancel.id))

    async def _stop_elsewhere(self, device: str, id: str) -> None:
        """Stop a chat that is not open here: its gateway may have died."""
        try:
            await self._stop(device, id)
        except GatewayError as error:
            log.info("the cancel of chat %s of device %s had no effect: %s", id, device, error)

    def _hear_status(self, topic: str, payload: bytes, retained: bool) -> None:
        try:
            name = self._sender(topic, payload)
            status = decode_status(payload)
        except ProtocolViolation as violation:
            self.dropped.drop("status", topic, violation)
            return
        self._devices.take(name, status)

    async def _answer(self, device: Device, chat: OpenChat) -> None:
        question = chat.question
        try:
            await chat.answer(self._ask)
            if chat.delivery.delivered:
                self._answers.remember(question)
        except GatewayError as error:
            chat.fail(error)
        except Exception:  # the task ends here; other chats go on
            log.exception("chat %s of device %s failed", question.id, device.name)
            chat.fail(UpstreamFailed("The gateway failed on this chat; its log says why."))
        finally:
            del device.chats[question.id]

    async def _show(self, device: Device, reply: ReplyHandle, delivery: ReplyDelivery) -> None:
        try:
            await delivery.send(lambda _: reply.overhearing())
        except NotFound:
            delivery.fail(FrameGap("Frames of this reply were lost on their way to this device."))
        except GatewayError as error:
            delivery.fail(error)
        except Exception:  # the task ends here; other replies go on
            log.exception("the reply %s could not be mirrored to %s", reply.stream_id, device.name)
            delivery.fail(UpstreamFailed("The gateway failed on this mirror; its log says why."))
        finally:
            delivery.close()
            del device.mirrors[reply.stream_id]

    def _delivery(self, device: str, id: str, *, whole: bool = False, mirror: bool = False) -> ReplyDelivery:
        topic = down_topic(self._root, device)

        def new_writer(whole: bool, anew: bool) -> DownWriter:
            return DownWriter(self._link, topic, id, self._rhythm, whole=whole, anew=anew, mirror=mirror)

        return ReplyDelivery(new_writer, whole=whole, grace_s=self._grace_s, retry_s=self._retry_s)

    def _start(self, tasks: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> None:
        task = tasks.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def _refuse(self, device: Device, id: str, error: GatewayError) -> None:
        with suppress(GatewayError):  # a full link cannot send the error
            payload = encode(error_frame(id, error))
            self._link.publish(down_topic(self._root, device.name), payload, envelope=envelope_for(id))

    def _sender(self, topic: str, payload: bytes) -> str:
        if len(payload) > self._link.max_payload:
            raise ProtocolViolation("the payload is too large")
        return status_sender(topic)
