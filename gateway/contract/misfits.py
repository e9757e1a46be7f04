"""The error for a request with an invalid field, in one wording."""

from gateway.contract.errors import Unprocessable


def misfit(field: str, problem: str) -> Unprocessable:
    """Return the error. problem: continues a sentence that begins with the field's name."""
    return Unprocessable(f"The request does not fit: {field}: {problem}.", {field: problem})
