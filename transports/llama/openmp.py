"""Finds an OpenMP runtime for llama.cpp's wheel where the system has none.

The wheel links libgomp.so.1 but does not contain it, and slim images do not have it. The wheel of pykdtree,
half a megabyte, contains one; the loader finds it by a link with the right name.
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
    """Give the environment variables by which a child process finds OpenMP; empty if it needs none."""
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
    """Return the library's path inside pykdtree's wheel; None if that is not installed or contains none."""
    try:
        files = importlib.metadata.files(LENDER) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name.startswith("libgomp"):
            return Path(str(file.locate())).resolve()
    return None
