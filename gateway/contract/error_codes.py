"""Errors by their code, as other programs report them and the store keeps them."""

from gateway.contract import errors
from gateway.contract.errors import (
    ContextExceeded,
    GatewayError,
    ModelRefused,
    TooLarge,
    UnsupportedContent,
    UpstreamFailed,
)

REFUSALS = (ModelRefused.code, ContextExceeded.code, UnsupportedContent.code, TooLarge.code)
"""Codes of replies that failed because of the conversation itself: the same one would fail again."""

# Of several errors with one code, the one nearest to the root: it is defined first.
_BY_CODE: dict[str, type[GatewayError]] = {
    kind.code: kind
    for kind in reversed(list(vars(errors).values()))
    if isinstance(kind, type) and issubclass(kind, GatewayError)
}


def error_of(code: str, message: str, retryable: bool | None = None) -> GatewayError:
    """Return the error with this code; UpstreamFailed if the code is unknown.

    retryable: None if the sender did not give it; then the class decides.
    """
    error = _BY_CODE.get(code, UpstreamFailed)(message)
    error.retryable = error.retryable if retryable is None else retryable
    return error
