"""Limits of requests to models."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one request.

    Attributes:
        deadline_s: maximum seconds for a whole reply.
        history_max_chars: maximum text of earlier messages that is sent to the model.
        history_max_bytes: maximum size, as JSON, of earlier attachments that are sent to the model.
    """

    deadline_s: float = 120.0
    history_max_chars: int = 24_000
    history_max_bytes: int = 32 * 1024 * 1024
