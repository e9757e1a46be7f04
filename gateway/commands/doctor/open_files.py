"""Checks the limit on open files and sockets: a stream needs one, and one more to its model server."""

import os

from gateway.commands.doctor.findings import Finding, failure, ok, warning
from gateway.contract.open_files import descriptor_limit, raise_descriptor_limit

FEW, VERY_FEW = 4096, 256
SPARE = 32
"""Free descriptors that the other checks need."""

FIX = "ulimit -n 65536 before `sluice serve`, or LimitNOFILE=65536 in the systemd unit"


def open_files() -> Finding:
    """Check this process, which has the limits of the shell or unit that starts it, as a gateway has."""
    raise_descriptor_limit()
    said = f"at most {descriptor_limit()} files and sockets may be open"
    if not has_room():
        return failure(f"{said}, and fewer than {SPARE} are free: nothing else can be checked", FIX)
    if descriptor_limit() < VERY_FEW:
        return failure(f"{said}: too few for a gateway", FIX)
    if descriptor_limit() < FEW:
        return warning(f"{said}: not enough for {FEW // 2} streams", FIX)
    return ok(said)


def has_room() -> bool:
    """Return True if enough descriptors are free for the other checks."""
    held: list[int] = []
    try:
        held.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(SPARE))
    except OSError:
        return False
    finally:
        for descriptor in held:
            os.close(descriptor)
    return True
