"""Skips live tests that need a Docker engine where none is available."""

import os
import shutil
import subprocess

import pytest


def requires_docker() -> None:
    """Skip the test if no Docker engine answers; fail it if REQUIRE_LIVE_DOCKER=1."""
    docker = shutil.which("docker")
    answers = docker is not None and subprocess.run([docker, "info"], capture_output=True).returncode == 0
    if not answers:
        assert os.environ.get("REQUIRE_LIVE_DOCKER") != "1", (
            "REQUIRE_LIVE_DOCKER=1, and Docker does not answer"
        )
        pytest.skip("needs a running Docker engine")
