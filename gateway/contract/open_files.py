"""The limit on files and sockets that this process may have open at the same time."""

import contextlib
import resource
import sys

MOST = 1_048_576
"""Maximum that is requested: some systems refuse to set the soft limit to infinity."""

LEAST = 64
"""A gateway that nobody uses has 45 open."""


def raise_descriptor_limit() -> None:
    """Raise the soft limit to the hard limit, at most to MOST. If the system refuses, do nothing."""
    with contextlib.suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def descriptor_limit() -> int:
    """Return the current soft limit; sys.maxsize if it is infinite."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
