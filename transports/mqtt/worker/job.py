"""One request that a worker has at work."""

import asyncio
import logging
from asyncio import Task
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.contract.errors import GatewayError, TimedOut, UpstreamFailed
from gateway.contract.events import TransportEvent
from gateway.contract.transport import Transport
from transports.mqtt.protocol.error_frames import error_frame
from transports.mqtt.protocol.frames import ErrorFrame, RequestFrame
from transports.mqtt.worker.reply_writer import ReplyWriter

NewWriter = Callable[..., ReplyWriter]
"""A ReplyWriter with its link and its rhythm given."""

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class ServedRequest:
    """stopped: what the gateway is told once the task was ended. answered: the last word was sent."""

    request: RequestFrame
    gateway: str
    task: Task[None] | None = None
    stopped: ErrorFrame | None = None
    answered: bool = False

    def fail(self, error: GatewayError) -> None:
        """Stop it, and tell the gateway why."""
        self.stop(error_frame(self.request.id, error))

    def stop(self, said: ErrorFrame) -> None:
        """Stop it, and tell the gateway `said`; the first to stop it decides."""
        if self.stopped is None and self.task is not None:
            self.stopped = said
            self.task.cancel()

    async def work(self, transport: Transport, new_writer: NewWriter, queue: int) -> None:
        """Have `transport` answer the request, and write the reply. queue: its place there."""
        request = self.request
        writer = new_writer(
            request.reply_to,
            request.id,
            whole=not request.stream,
            alive_s=request.idle_s / 3,
            clock=asyncio.get_running_loop(),
        )

        def hear(batch: Sequence[TransportEvent]) -> Awaitable[None] | None:
            writer.say(batch)
            return _keep_up(writer) if writer.has_receipts else None

        try:
            writer.accept(queue)
            async with asyncio.timeout(request.deadline_s):
                writer.end(await transport.answer(request.as_chat_request(), hear))
                await _keep_up(writer)
        except _LinkLost:
            return
        except TimeoutError:
            writer.fail(TimedOut(f"no whole reply within {request.deadline_s:g} s"))
        except GatewayError as error:
            writer.fail(error)
        except Exception:  # here a task ends; the other requests go on
            log.exception("request %s failed", request.id)
            writer.fail(UpstreamFailed("the worker failed"))
        finally:
            writer.close()
            self.answered = writer.ended


class _LinkLost(Exception):
    """The connection to the broker was lost in the middle of a reply."""


async def _keep_up(writer: ReplyWriter) -> None:
    if not await writer.written():
        raise _LinkLost
