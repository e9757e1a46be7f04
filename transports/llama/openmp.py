"""The OpenMP runtime that llama.cpp's wheel expects of the system, lent where the system has none.

The wheel links libgomp.so.1 and does not carry it, and slim images do not have it. The wheel of pykdtree,
half a megabyte, carries one; a link with the right name beside it is all the loader needs.
"""

import ctypes
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

LIBRARY = "libgomp.so.1"
LENDER = "pykdtree"


@contextmanager
def openmp_environment() -> Iterator[dict[str, str]]:
    """Environment variables by which a child started in the block finds OpenMP; empty where it needs none."""
    if not sys.platform.startswith("linux") or system_has_openmp():
        yield {}
        return
    lent = lent_openmp()
    if lent is None:
        yield {}
        return
    with TemporaryDirectory(prefix="sluice-openmp-") as folder:
        Path(folder, LIBRARY).symlink_to(lent)
        paths = [folder, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        yield {"LD_LIBRARY_PATH": os.pathsep.join(paths)}


def system_has_openmp() -> bool:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def lent_openmp() -> Path | None:
    """The library inside the lender's wheel; None where that is not installed or carries none."""
    try:
        files = importlib.metadata.files(LENDER) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name.startswith("libgomp"):
            return Path(str(file.locate())).resolve()
    return None
