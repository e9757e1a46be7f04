"""Subjects of tickets. A ticket gives access to one stream, to the events of one session, or to `/ws`;
an invitation makes its holder a member of a room."""

SOCKET_SUBJECT = "socket/"
"""Subject of tickets for the WebSocket. It cannot be a stream id, because it has a slash."""


def stream_subject(stream_id: str) -> str:
    return stream_id


def session_subject(session_id: str) -> str:
    """Return a subject that cannot be a stream id, because it has a slash.

    session_id: the session's id, uuid or key, as in the path of the request.
    """
    return f"session/{session_id}"


def invitation_subject(session_id: int, role: str, number: int) -> str:
    """number: of the room's invitations, see RoomStore.invitation_number."""
    return f"room/{session_id}/{role}/{number}"
