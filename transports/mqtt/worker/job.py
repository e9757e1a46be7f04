"""One running request of a worker."""

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
"""ReplyWriter with its link and its times already given."""

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class ServedRequest:
    """One running request. stopped: frame to send when the task has ended. answered: last frame was sent."""

    request: RequestFrame
    gateway: str
    task: Task[None] | None = None
    stopped: ErrorFrame | None = None
    answered: bool = False

    def fail(self, error: GatewayError) -> None:
        """Stop the request and send the gateway the error."""
        self.stop(error_frame(self.request.id, error))

    def stop(self, said: ErrorFrame) -> None:
        """Stop the request and send the gateway `said`. Later calls do nothing."""
        if self.stopped is None and self.task is not None:
            self.stopped = said
            self.task.cancel()

    async def work(self, transport: Transport, new_writer: NewWriter, queue: int) -> None:
        """Get the reply from `transport` and write it. queue: the request's place there."""
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
        except Exception:  # the task ends here; other requests go on
            log.exception("request %s failed", request.id)
            writer.fail(UpstreamFailed("the worker failed"))
        finally:
            writer.close()
            self.answered = writer.ended


class _LinkLost(Exception):
    """The connection to the broker was lost during a reply."""


async def _keep_up(writer: ReplyWriter) -> None:
    if not await writer.written():
        raise _LinkLost
