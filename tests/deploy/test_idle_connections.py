"""Proxies close idle connections before the gateway does: a question on a connection that closes gets 502."""

import re
from pathlib import Path

import pytest

from gateway.process.serve import KEEP_ALIVE_S

DEPLOY = Path(__file__).parents[2] / "deploy"


NGINX = ("sluice.conf", "sluice-prefix.conf", "cluster.conf")
CADDY = ("Caddyfile", "Caddyfile.prefix")


@pytest.mark.parametrize("file", [*(f"nginx/{name}" for name in NGINX), *(f"caddy/{name}" for name in CADDY)])
def test_idle_connections_are_closed_first(file: str) -> None:
    (seconds,) = re.findall(r"keepalive(?:_timeout)? (\d+)s", (DEPLOY / file).read_text())
    assert int(seconds) < KEEP_ALIVE_S
