"""OpenAI's Responses dialect: numbered events that open, fill and close the items of one response.

Source: OpenAI API reference, "Streaming events" of Responses; the clients' parsers.
"""

from collections.abc import Callable, Mapping
from time import time
from typing import Any

from gateway.contract.dialect import PacedBy
from gateway.contract.errors import GatewayError
from gateway.dialects.responses_encoder import ResponsesEncoder
from gateway.dialects.sse_frames import SseDialect, named_frame


class Responses(SseDialect):
    """Encodes one response.

    Args:
        settings: settings of the request, which the response object repeats; None: default settings.
        model: name of the model.
        after: the `sequence_number` after which this stream begins; None: all events.
        numbered: False where the earlier events' numbers are unknown: only the last event is sent, with the
            whole response and the number behind `after`.
        end_lost: True for a reply that a crash interrupted: its last event gets a number behind `after`, also
            if the reader had received more events than were stored.
        created_at: seconds since the epoch; None for now.
    """

    name = "responses"
    paced_by: PacedBy = "characters"
    bears_ids = False
    merges = False

    def __init__(
        self,
        settings: Mapping[str, Any] | None = None,
        *,
        model: str = "default",
        after: int | None = None,
        numbered: bool = True,
        end_lost: bool = False,
        created_at: int | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self._settings = settings or {}
        self._model = model
        self._after = after
        self._numbered = numbered
        self._end_lost = end_lost
        self._created_at = created_at
        self._clock = clock

    def encoder(self, stream_id: str) -> ResponsesEncoder:
        return ResponsesEncoder(
            stream_id,
            self.head(stream_id),
            after=self._after,
            numbered=self._numbered,
            end_lost=self._end_lost,
        )

    def head(self, stream_id: str) -> dict[str, Any]:
        """The parts of the response that its reply does not change."""
        created_at = int(self._clock()) if self._created_at is None else self._created_at
        return {
            "id": response_id(stream_id),
            "created_at": created_at,
            "model": self._model,
            **self._settings,
        }

    def refusal(self, error: GatewayError) -> bytes:
        told = {"type": "error", "code": error.code, "message": str(error), "param": None}
        return named_frame("error", {**told, "sequence_number": 0})


def response_id(stream_id: str) -> str:
    return f"resp_{stream_id}"
