"""Everything that can go wrong, as one tree.

    GatewayError
    ├── RequestRejected          the caller's fault; HTTP 4xx
    │   ├── BadRequest           400  not JSON, or JSON nobody could mean
    │   ├── Unauthorized         401
    │   ├── Forbidden            403
    │   ├── NotFound             404  unknown or somebody else's: no difference is shown
    │   ├── MethodNotAllowed     405
    │   ├── TooSlow              408  a request that does not come to its end
    │   ├── Conflict             409
    │   ├── TooLarge             413
    │   ├── UnsupportedMedia     415
    │   │   └── UnsupportedEncoding
    │   ├── Unprocessable        422  well-formed, with fields that cannot be used
    │   │   └── UnsupportedContent    images or sound for a model that takes none
    │   ├── HeadTooLarge         431
    │   ├── LimitExceeded        429  too many requests in a minute
    │   │   └── TooManyStreams   429  too many replies in the making
    │   └── ModelRefused         the model server's own 4xx: no other transport would answer better
    │       └── ContextExceeded  the conversation is longer than the model can take
    ├── TransportError           the other side's fault
    │   ├── Unreachable          refused, DNS, no route, closed before it answered, broker away
    │   ├── Loading              the model server is there and not ready yet
    │   ├── NoWorker             no ready worker has the model
    │   ├── Overloaded           everybody is full
    │   ├── Unavailable          it failed again and again, and is not asked for a while
    │   ├── TimedOut             silence, or the reply's deadline
    │   ├── UpstreamFailed       it answered with an error, or broke off in the middle
    │   ├── ProtocolViolation    it said something its protocol does not know
    │   ├── WorkerLost           the worker or its broker went away in mid-reply
    │   └── FrameGap             frames of a reply are missing
    ├── StorageFailed            the database did not take what had to be kept
    ├── Draining                 this process is about to stop
    ├── NameTaken                another living gateway has our name; keeps a start from succeeding
    └── Interrupted              the process that made the reply ended before it did

Each class carries what HTTP, SSE, MQTT and the log need of it: `code` (a stable word for programs),
`status` (HTTP), `reason` (from the closed list in events.py, for a reply that ends with it) and
`retryable` (the same request may succeed later, unchanged).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import ClassVar, Literal

from gateway.contract.secrets import without_secrets

ErrorReason = Literal[
    "upstream_error", "worker_lost", "timeout", "gap", "storage_failed", "shutdown", "interrupted"
]

# Together, with every character written as an escape of six bytes, less than 16 KiB.
MAX_MESSAGE_CHARS = 800
MAX_SEARCHED_CHARS = 16_384
MAX_TOLD_FIELDS = 10
MAX_FIELD_CHARS = 80
MAX_PROBLEM_CHARS = 100


class GatewayError(Exception):
    """Root of the tree.

    `str(error)` is one sentence that may be shown to the caller, without secrets. A long one is cut: it may
    repeat what the caller sent.
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


class Forbidden(RequestRejected):
    code = "forbidden"
    status = 403


class NotFound(RequestRejected):
    code = "not_found"
    status = 404


class MethodNotAllowed(RequestRejected):
    """`allowed` are the methods that are answered; HEAD is wherever GET is."""

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
    """The user keeps as many as a user may; the message says what to delete."""

    code = "quota_reached"


class TooLarge(RequestRejected):
    code = "too_large"
    status = 413


class UnsupportedMedia(RequestRejected):
    code = "unsupported_media_type"
    status = 415


class UnsupportedEncoding(UnsupportedMedia):
    """A Content-Encoding that is not read here."""

    code = "unsupported_encoding"


class Unprocessable(RequestRejected):
    """`fields` says what is wrong with which field, by its JSON path; of many the first MAX_TOLD_FIELDS."""

    code = "invalid"
    status = 422

    def __init__(self, message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = {
            _cut(field, MAX_FIELD_CHARS): _cut(problem, MAX_PROBLEM_CHARS)
            for field, problem in islice((fields or {}).items(), MAX_TOLD_FIELDS)
        }


class UnsupportedContent(Unprocessable):
    """The model that would answer cannot take in what the conversation holds besides text."""

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


class ModelRefused(RequestRejected):
    """The model server answered 4xx: the request itself is at fault, whoever serves it."""

    code = "model_refused"
    status = 400


class ContextExceeded(ModelRefused):
    """The conversation has more tokens than the model's context."""

    code = "context_length_exceeded"


class TransportError(GatewayError):
    """broke_off: how many servers took the request whole before they broke off or fell silent, which makes
    the request a suspect: see `suspects.ask_again`."""

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


def error_of(code: str, message: str, retryable: bool | None = None) -> GatewayError:
    """The error that was told with this code; an unknown code gives UpstreamFailed.

    retryable: as it was told; None where that is not known, and then the code decides.
    """
    error = _BY_CODE.get(code, UpstreamFailed)(message)
    if retryable is not None:
        error.retryable = retryable
    return error


def _tree(root: type[GatewayError]) -> Iterator[type[GatewayError]]:
    yield root
    for branch in root.__subclasses__():
        yield from _tree(branch)


_BY_CODE = {error.code: error for error in reversed(list(_tree(GatewayError)))}
