"""One running request of a worker."""

import asyncio
import logging
from asyncio import Task
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.contract.embeddings import Embeddings
from gateway.contract.errors import GatewayError, TimedOut, UpstreamFailed
from gateway.contract.events import TransportEvent
from gateway.contract.transport import Transport
from transports.mqtt.protocol.error_frames import error_frame
from transports.mqtt.protocol.frames import EmbedFrame, ErrorFrame, RequestFrame, Tokens, VectorsFrame
from transports.mqtt.worker.frame_sender import FrameSender
from transports.mqtt.worker.kept_reply import KeptReply
from transports.mqtt.worker.reply_writer import ReplyWriter

NewWriter = Callable[..., ReplyWriter]
"""ReplyWriter with its times already given."""

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class ServedRequest:
    """One running request. stopped: frame to send when the task has ended. answered: last frame was sent.

    gateway: asked for it.
    """

    request: RequestFrame | EmbedFrame
    gateway: str
    sender: FrameSender
    task: Task[None] | None = None
    stopped: ErrorFrame | None = None
    answered: bool = False

    @property
    def outlives(self) -> bool:
        """True if it goes on without its gateway."""
        return isinstance(self.sender, KeptReply) and self.sender.frames is not None

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
            self.sender,
            request.id,
            whole=isinstance(request, EmbedFrame) or not request.stream,
            alive_s=request.idle_s / 3,
            clock=asyncio.get_running_loop(),
        )

        def hear(batch: Sequence[TransportEvent]) -> Awaitable[None] | None:
            writer.say(batch)
            return _keep_up(writer) if writer.has_receipts else None

        try:
            writer.accept(queue)
            async with asyncio.timeout(request.deadline_s):
                if isinstance(request, EmbedFrame):
                    made = await transport.abilities.embed(request.as_embed_request())
                    writer.end_with(await asyncio.to_thread(vectors_frame, request.id, made))
                else:
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


def vectors_frame(id: str, made: Embeddings) -> VectorsFrame:
    """Return the frame with these vectors. Nine digits hold a 32-bit float exactly."""
    vectors = [[float(f"{number:.9g}") for number in vector] for vector in made.vectors]
    frame = VectorsFrame(id, vectors)
    if made.prompt_tokens is not None:
        frame.usage = Tokens(made.prompt_tokens)
    return frame


class _LinkLost(Exception):
    """The connection to the broker was lost during a reply."""


async def _keep_up(writer: ReplyWriter) -> None:
    if not await writer.written():
        raise _LinkLost
