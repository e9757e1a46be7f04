"""The host's name as part of other names, and the placeholders `{n}` and `{host}` of settings."""

import re
import socket

MAX_NAME = 64


def host_name() -> str:
    """Return the host's name in the characters of GATEWAY_NAME."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:MAX_NAME] or "gateway"


def filled(text: str, number: int) -> str:
    """Return the text with `{n}` and `{host}` replaced. number: of the process; 0 counts as 1."""
    return text.replace("{n}", str(number or 1)).replace("{host}", host_name())
