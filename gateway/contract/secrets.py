"""Removes secrets from texts before they are sent, logged or stored."""

import base64
import json
import re
from collections.abc import Callable, Iterable
from functools import partial
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "…"

MIN_CHARS = 4
SHORT_CHARS = 8
"""Shorter secrets are replaced only as whole words: otherwise they would garble words that contain them."""

# Text in the form of a secret, known to this process or not.
_PATTERNS = re.compile(
    r"\bsk-[\w-]{16,}"
    r"|(?<=://)[^\s/@:'\"]{0,256}(?::[^\s/'\"]{0,256})?@"
    r"|(?<=\bbearer )[\w.~+/-]{16,}=*|(?<=\bbasic )[\w+/]{16,}=*"
    r"|(?:(?<=\bticket=)|(?<=\btoken=)|(?<=\bpassword=)|(?<=\bsecret=)|(?<=\bapi_key=))[^\s&'\"]+",
    re.IGNORECASE,
)
_MARKS = ("=", "://", "sk-", "bearer ", "basic ")
"""Every match of _PATTERNS contains or follows one of these, case folded. Searching for them takes a fiftieth
of the pattern's time, and most texts contain none."""

_SPELLINGS: tuple[Callable[[str], str], ...] = (
    str,
    partial(quote, safe=""),
    partial(quote_plus, safe=""),
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: text.replace("/", r"\/"),  # PHP and others write JSON like this
)
_known: set[str] = set()
_known_pattern: re.Pattern[str] | None = None


def remember_secrets(secrets: Iterable[str]) -> None:
    """Make `without_secrets` remove these from now on, also where they are quoted as in a URL or in JSON.

    They apply to the whole process, like logging. Secrets of fewer than MIN_CHARS characters are ignored.
    """
    global _known_pattern
    for secret in secrets:
        plain = {secret, unquote(secret)}
        spellings = {spelt(text) for text in plain for spelt in _SPELLINGS}
        _known.update(text for text in spellings if len(text) >= MIN_CHARS)
    if _known:
        longest_first = sorted(_known, key=len, reverse=True)
        _known_pattern = re.compile("|".join(map(_alternative, longest_first)))


def secrets_of_url(url: str) -> list[str]:
    """Return a URL's password, and its credentials as HTTP basic authentication encodes them; empty without
    an `@`."""
    userinfo, at, _ = (url.partition("://")[2] or url).rpartition("@")
    if not at:
        return []
    user, _, password = userinfo.partition(":")
    sent = f"{unquote(user)}:{unquote(password)}".encode()
    return [password or user, base64.b64encode(sent).decode()]


def password_of_url(url: str) -> str:
    """Return a database URL's password as it stands there; empty without one. A user alone is no secret."""
    userinfo, _, _ = url.partition("://")[2].rpartition("@")
    return userinfo.partition(":")[2]


def without_secrets(text: str) -> str:
    """Return the text with HIDDEN in place of every remembered secret and every match of _PATTERNS."""
    if _known_pattern is not None and any(secret in text for secret in _known):
        text = _known_pattern.sub(HIDDEN, text)
    folded = text.casefold()
    for mark in _MARKS:  # not `any` of a generator, which takes three times as long for each log line
        if mark in folded:
            break
    else:
        return text
    return _PATTERNS.sub(lambda found: f"{HIDDEN}@" if found[0].endswith("@") else HIDDEN, text)


def _alternative(secret: str) -> str:
    escaped = re.escape(secret)
    return escaped if len(secret) >= SHORT_CHARS else rf"(?<!\w){escaped}(?!\w)"
