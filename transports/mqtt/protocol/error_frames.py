"""Translates between `error` frames and the gateway's errors."""

import msgspec

from gateway.contract.errors import (
    ContextExceeded,
    FrameGap,
    GatewayError,
    Loading,
    ModelRefused,
    NotSupported,
    NoWorker,
    Overloaded,
    ProtocolViolation,
    TimedOut,
    TooLarge,
    TransportError,
    Unreachable,
    UnsupportedContent,
    UpstreamFailed,
    WorkerLost,
)
from gateway.contract.secrets import without_secrets
from transports.lenient.error_words import says_context_overflow
from transports.mqtt.protocol.frames import ErrorFrame

LONGEST_MESSAGE = 500

_ERRORS: dict[str, type[GatewayError]] = {
    error.code: error
    for error in (
        ContextExceeded,
        UnsupportedContent,
        NotSupported,
        TooLarge,
        ModelRefused,
        Unreachable,
        Loading,
        NoWorker,
        Overloaded,
        TimedOut,
        UpstreamFailed,
        ProtocolViolation,
        WorkerLost,
        FrameGap,
    )
}


def error_said(frame: ErrorFrame) -> GatewayError:
    """Return the error of a worker's frame, by its code; UpstreamFailed for an unknown code.

    The message of a model server decides if a conversation is too long, where a worker has no code for it.
    If a worker fails with another code than those for away or full, it had the request: that counts as one
    server that broke off.
    """
    kind = _ERRORS.get(frame.code, UpstreamFailed)
    if kind in (UpstreamFailed, ModelRefused) and (
        says_context_overflow(frame.message) or says_context_overflow(frame.code)
    ):
        kind = ContextExceeded
    error = kind(without_secrets(frame.message)[:LONGEST_MESSAGE] or "the worker could not answer")
    error.retryable = frame.retryable
    if isinstance(error, TransportError):
        told = 0 if frame.broke_off is msgspec.UNSET else frame.broke_off
        error.broke_off = max(told, _least_broke_off(error))
    return error


def error_frame(id: str, error: GatewayError) -> ErrorFrame:
    """Return the frame by which a worker reports `error`."""
    frame = ErrorFrame(id, error.code, str(error)[:LONGEST_MESSAGE], error.retryable)
    if isinstance(error, TransportError) and error.broke_off > _least_broke_off(error):
        frame.broke_off = error.broke_off
    return frame


def _least_broke_off(error: TransportError) -> int:
    return int(isinstance(error, UpstreamFailed | TimedOut | ProtocolViolation | FrameGap))
