"""The query parameter `format`, which names the dialect of the response."""

from urllib.parse import parse_qs

from gateway.contract.dialect import Dialect
from gateway.contract.misfits import misfit
from gateway.dialects.registry import DIALECTS
from gateway.web.http.asgi import Scope


def dialect_chosen(scope: Scope) -> Dialect | None:
    """Return the dialect of `?format=`, or None without it. Raises Unprocessable for an unknown name."""
    query: bytes = scope["query_string"]
    if not query or b"format" not in query:
        return None
    names = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("format")
    if names is None:
        return None
    dialect = DIALECTS.get(names[0])
    if dialect is None:
        raise misfit("format", "must be one of " + ", ".join(DIALECTS))
    return dialect
