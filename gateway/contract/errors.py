"""All errors of the gateway, as one tree.

    GatewayError
    ├── RequestRejected          the request is at fault; HTTP 4xx
    │   ├── BadRequest           400  not valid JSON, or not a JSON object
    │   ├── Unauthorized         401
    │   │   └── KeyExpired       401  the API key was valid
    │   ├── Forbidden            403
    │   ├── NotFound             404  also for another user's object: the client sees no difference
    │   ├── MethodNotAllowed     405
    │   ├── TooSlow              408  the request did not arrive in time
    │   ├── Conflict             409
    │   ├── TooLarge             413
    │   ├── UnsupportedMedia     415
    │   │   └── UnsupportedEncoding
    │   ├── Unprocessable        422  valid JSON with invalid fields
    │   │   └── UnsupportedContent    images or sound for a model that accepts none
    │   ├── HeadTooLarge         431
    │   ├── LimitExceeded        429  too many requests in a minute
    │   │   ├── TooManyStreams   429  too many replies at the same time
    │   │   └── TokenBudgetExceeded   the key has used its tokens of the day
    │   ├── NotSupported         501  no model server or worker of this mode can do that
    │   └── ModelRefused         the model server answered 4xx: another transport would do the same
    │       └── ContextExceeded  the conversation is longer than the model's context
    ├── TransportError           a model server, worker or broker is at fault
    │   ├── Unreachable          refused, DNS, no route, closed before an answer, broker disconnected
    │   ├── Loading              the model server still loads its model
    │   ├── NoWorker             no ready worker has the model
    │   ├── Overloaded           all model servers or workers are at their limit
    │   ├── Unavailable          suspended for some seconds after several failures in a row
    │   ├── TimedOut             no data for too long, or the reply's deadline passed
    │   ├── UpstreamFailed       answered with an error, or ended in the middle of the reply
    │   ├── ProtocolViolation    sent data that its protocol does not allow
    │   ├── WorkerLost           the worker or the broker disconnected during the reply
    │   └── FrameGap             frames of a reply are missing
    ├── StorageFailed            the database did not answer, or refused
    ├── Draining                 this process is about to stop
    ├── NameTaken                another running gateway uses the same name; this one does not start
    └── Interrupted              the process that produced the reply ended before the reply did

Class attributes feed HTTP, SSE, MQTT and logs: `code` (stable, for programs), `status` (HTTP), `reason` (of a
reply that ends with the error; events.py lists them) and `retryable` (the same request may succeed later).
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import ClassVar, Literal

from gateway.contract.secrets import without_secrets

ErrorReason = Literal[
    "upstream_error", "worker_lost", "timeout", "gap", "storage_failed", "shutdown", "interrupted"
]

# An error stays below 16 KiB even if every character is written as a JSON escape of six bytes.
MAX_MESSAGE_CHARS, MAX_SEARCHED_CHARS = 800, 16_384
MAX_TOLD_FIELDS, MAX_FIELD_CHARS, MAX_PROBLEM_CHARS = 10, 80, 100


class GatewayError(Exception):
    """Root of the tree.

    `str(error)` is sent to the client: secrets are removed, and it is cut to MAX_MESSAGE_CHARS because it may
    contain text that the client sent.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    reason: ClassVar[ErrorReason] = "upstream_error"
    retryable: bool = False

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(_cut(without_secrets(message[:MAX_SEARCHED_CHARS]), MAX_MESSAGE_CHARS))
        self.retry_after_s = retry_after_s


class RequestRejected(GatewayError):
    code = "bad_request"
    status = 400


class BadRequest(RequestRejected):
    pass


class Unauthorized(RequestRejected):
    code = "unauthorized"
    status = 401


class KeyExpired(Unauthorized):
    code = "key_expired"


class Forbidden(RequestRejected):
    code = "forbidden"
    status = 403


class NotFound(RequestRejected):
    code = "not_found"
    status = 404


class MethodNotAllowed(RequestRejected):
    """`allowed` lists the methods of the path; it contains HEAD if it contains GET."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, message: str, allowed: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.allowed = (*allowed, "HEAD") if "GET" in allowed else tuple(allowed)


class TooSlow(RequestRejected):
    code = "too_slow"
    status = 408
    retryable = True


class Conflict(RequestRejected):
    code = "conflict"
    status = 409


class QuotaReached(Conflict):
    """The user has the maximum number of stored objects; the message says which to delete."""

    code = "quota_reached"


class TooLarge(RequestRejected):
    code = "too_large"
    status = 413


class UnsupportedMedia(RequestRejected):
    code = "unsupported_media_type"
    status = 415


class UnsupportedEncoding(UnsupportedMedia):
    """The request has a Content-Encoding that the gateway does not decode."""

    code = "unsupported_encoding"


class Unprocessable(RequestRejected):
    """`fields` maps the JSON path of each invalid field to its problem, at most MAX_TOLD_FIELDS of them."""

    code = "invalid"
    status = 422

    def __init__(self, message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = {
            _cut(field, MAX_FIELD_CHARS): _cut(problem, MAX_PROBLEM_CHARS)
            for field, problem in islice((fields or {}).items(), MAX_TOLD_FIELDS)
        }


class UnsupportedContent(Unprocessable):
    """The model does not accept a kind of content that the conversation contains."""

    code = "unsupported_content"


class HeadTooLarge(RequestRejected):
    code = "head_too_large"
    status = 431


class LimitExceeded(RequestRejected):
    code = "rate_limited"
    status = 429
    retryable = True


class TooManyStreams(LimitExceeded):
    code = "too_many_streams"


class TokenBudgetExceeded(LimitExceeded):
    code = "token_budget_exceeded"


class ModelRefused(RequestRejected):
    """The model server answered 4xx: the request itself is at fault."""

    code = "model_refused"
    status = 400


class ContextExceeded(ModelRefused):
    """The conversation has more tokens than the model's context."""

    code = "context_length_exceeded"


class NotSupported(RequestRejected):
    code = "not_supported"
    status = 501


class TransportError(GatewayError):
    """`broke_off` counts the servers that received the whole request and then disconnected or sent nothing
    more: the request may be the cause, see `crashing_requests.ask_again`."""

    code = "upstream_error"
    status = 502
    retryable = True
    broke_off: int = 0


class Unreachable(TransportError):
    code = "unreachable"
    status = 503


class Loading(TransportError):
    code = "loading"
    status = 503


class NoWorker(TransportError):
    code = "no_worker"
    status = 503


class Overloaded(TransportError):
    code = "overloaded"
    status = 503


class Unavailable(TransportError):
    code = "unavailable"
    status = 503


class TimedOut(TransportError):
    code = "timeout"
    status = 504
    reason = "timeout"


class UpstreamFailed(TransportError):
    pass


class ProtocolViolation(TransportError):
    code = "protocol_violation"


class WorkerLost(TransportError):
    code = "worker_lost"
    reason = "worker_lost"


class FrameGap(TransportError):
    code = "gap"
    reason = "gap"


class StorageFailed(GatewayError):
    code = "storage_failed"
    status = 503
    reason = "storage_failed"
    retryable = True

    def __init__(self, message: str, *, retry_after_s: float | None = 2) -> None:
        super().__init__(message, retry_after_s=retry_after_s)


class Draining(GatewayError):
    code = "draining"
    status = 503
    reason = "shutdown"
    retryable = True


class NameTaken(GatewayError):
    code = "name_taken"
    status = 503


class Interrupted(GatewayError):
    code = "interrupted"
    status = 503
    reason = "interrupted"
    retryable = True


def _cut(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"
