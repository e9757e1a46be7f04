"""The subjects of tickets: each opens one stream, or the events of one session."""


def stream_subject(stream_id: str) -> str:
    return stream_id


def session_subject(session_id: str) -> str:
    """session_id: the session's id, uuid or key, as the path names it. No stream's id holds a slash."""
    return f"session/{session_id}"
