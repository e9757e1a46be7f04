"""How many files and sockets this process may have open at once."""

import contextlib
import resource
import sys

MOST = 1_048_576
"""More than this is not asked for: some systems refuse to raise a limit without an end."""


def raise_descriptor_limit() -> None:
    """Raise the soft limit to the hard one; where the system refuses, the limit stays as it is."""
    with contextlib.suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def descriptor_limit() -> int:
    """The soft limit in force; sys.maxsize if there is none."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
