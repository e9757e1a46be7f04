"""LiteLLM's proxy in a separate virtual environment: it is a peer, not a dependency."""

import os
import subprocess
import sys
from pathlib import Path

from harness.programs import Unavailable

REQUIREMENT = "litellm[proxy]>=1.106,<2"
INSTALL_S = 600
FOLDER = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sluice-benchmarks" / "litellm"


def litellm_installed() -> str:
    """Return the proxy's command. The first call installs it into FOLDER: about 750 MB.

    Raises Unavailable if that fails or takes longer than INSTALL_S.
    """
    command = FOLDER / "bin" / "litellm"
    if command.exists():
        return str(command)
    print(f"installing {REQUIREMENT} into {FOLDER}", flush=True)
    steps = (
        [sys.executable, "-m", "venv", "--clear", str(FOLDER)],
        [str(FOLDER / "bin" / "pip"), "install", "--quiet", REQUIREMENT],
    )
    try:
        for step in steps:
            subprocess.run(step, check=True, timeout=INSTALL_S, capture_output=True)
    except (subprocess.SubprocessError, OSError) as trouble:
        raise Unavailable(f"litellm could not be installed: {trouble}") from trouble
    return str(command)
