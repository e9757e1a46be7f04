"""What the door must know of the addresses behind it."""

from gateway.contract.keys import Permission
from gateway.web.http.asgi import Scope

STREAM_PATHS = ("/messages/stream", "/api/chatbot/messages/stream")
SESSION_PATH = "/api/chatbot/sessions/"
TEMPLATE_PATH = "/api/chatbot/templates/"

_PUBLIC = frozenset({"/", "/health", "/ready", "/docs", "/openapi.json"})
_CHAT: frozenset[Permission] = frozenset({"chat"})
_PERMISSIONS: dict[str, frozenset[Permission]] = {
    "/api/metrics": frozenset({"metrics", "admin"}),
    "/metrics": frozenset({"metrics", "admin"}),
    "/api/chatbot/usage": frozenset({"chat", "admin"}),
}
_ADMIN: frozenset[Permission] = frozenset({"admin"})


def is_public(path: str) -> bool:
    """Whether anybody may read this who reaches the port."""
    return path in _PUBLIC or path.startswith("/docs/")


def permissions_for(path: str) -> frozenset[Permission]:
    """Any one of these opens the path."""
    return _ADMIN if path.startswith("/api/admin/") else _PERMISSIONS.get(path, _CHAT)


def ticket_subject(scope: Scope) -> str | None:
    """What a ticket must be for to open this request; None where none does: they only read events."""
    if scope["method"] not in {"GET", "HEAD"}:
        return None
    folder, _, name = scope["path"].rpartition("/")
    if folder in STREAM_PATHS:
        return str(name)
    if name == "events" and folder.startswith(SESSION_PATH):
        return session_subject(folder.removeprefix(SESSION_PATH))
    return None


def session_subject(session_id: int | str) -> str:
    """As ticket_subject gives it for a session's events; no stream's id holds a slash."""
    return f"session/{session_id}"


def is_template_test(path: str) -> bool:
    """Whether this is a template's test, which is answered like a message."""
    return path.startswith(TEMPLATE_PATH) and path.endswith("/test")


def is_stop(scope: Scope) -> bool:
    """Whether this ends a reply, which is always allowed: it makes room."""
    folder, _, name = scope["path"].rpartition("/")
    if scope["method"] == "DELETE":
        return folder in STREAM_PATHS
    return scope["method"] == "POST" and name == "stop" and folder.rpartition("/")[0] in STREAM_PATHS
