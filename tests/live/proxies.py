"""nginx and Caddy with the configurations of deploy/, which listen with TLS on a free port of loopback."""

import os
import re
import shutil
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.live.brokers import free_port
from tests.live.guarded import run_script
from tests.live.programs import ROOT, running_program
from tests.plain_http import plain_http

PROXIES = ("nginx", "caddy")
NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{}}
http {{
  access_log off;
  gzip on;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  include {folder}/sluice.conf;
}}
"""


def requires_proxy(name: str) -> pytest.MarkDecorator:
    """Mark a live test: skipped if the proxy is not installed, failed if REQUIRE_LIVE=1."""
    missing = shutil.which(name) is None and os.environ.get("REQUIRE_LIVE") != "1"
    return pytest.mark.skipif(missing, reason=f"needs {name}: apt-get install {name}")


@dataclass
class Proxy:
    """url: where clients reach the gateway. authority: of the proxy's certificate."""

    url: str
    authority: Path

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)

    def client(self, address: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
        """Return a client that connects from this address of loopback."""
        transport = httpx.AsyncHTTPTransport(verify=self.tls, local_address=address)
        return plain_http(self.url, transport=transport, headers={"accept": "application/json", **headers})


@asynccontextmanager
async def running_proxy(name: str, gateway_url: str, folder: Path, prefix: str = "") -> AsyncIterator[Proxy]:
    """Run nginx or Caddy in front of the gateway.

    Args:
        name: one of PROXIES.
        gateway_url: where the gateway listens.
        folder: for the proxy's files.
        prefix: `/chat` for the configuration that serves the gateway under this path.
    """
    code, said = await run_script("make_certificates.sh", folder, "localhost")
    assert code == 0, said
    port = free_port()
    start = _nginx if name == "nginx" else _caddy
    command, started = start(folder, port, gateway_url.removeprefix("http://"), prefix)
    program = shutil.which(name)
    assert program, f"REQUIRE_LIVE=1, and there is no {name}"
    async with running_program(program, *command, XDG_DATA_HOME=str(folder), HOME=str(folder)) as proxy:
        await proxy.until_said(started)
        try:
            yield Proxy(f"https://localhost:{port}{prefix}", folder / "ca.crt")
        except AssertionError as failure:
            await proxy.end(signal.SIGKILL)
            failure.add_note(f"{name} said:\n{proxy.said}")
            raise


def _nginx(folder: Path, port: int, gateway: str, prefix: str) -> tuple[list[str], str]:
    """Write the files. Return the arguments, and the pattern of what nginx says when it listens."""
    shipped = ROOT / "deploy/nginx"
    site = (shipped / ("sluice-prefix.conf" if prefix else "sluice.conf")).read_text()
    site = _replaced(
        site,
        (r"server 127\.0\.0\.1:8000;", f"server {gateway};"),
        (r"listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        (r"listen \[::\]:443 ssl", f"listen [::1]:{port} ssl"),
        (r"/etc/letsencrypt/live/chat\.example/fullchain\.pem", f"{folder}/server.crt"),
        (r"/etc/letsencrypt/live/chat\.example/privkey\.pem", f"{folder}/server.key"),
        (r"/etc/nginx/snippets", str(shipped)),
    )
    plain = free_port()
    site = site.replace("listen 80;", f"listen 127.0.0.1:{plain};").replace("[::]:80;", f"[::1]:{plain};")
    (folder / "sluice.conf").write_text(site)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    return ["-p", str(folder), "-c", str(folder / "nginx.conf")], r"using the .* event method"


def _caddy(folder: Path, port: int, gateway: str, prefix: str) -> tuple[list[str], str]:
    """Write the file. Return the arguments, and the pattern of what Caddy says when it listens."""
    site = (ROOT / "deploy/caddy" / ("Caddyfile.prefix" if prefix else "Caddyfile")).read_text()
    certificate = f"tls {folder}/server.crt {folder}/server.key"
    site = _replaced(
        site,
        (r"127\.0\.0\.1:8000", gateway),
        (r"chat\.example \{", f"https://localhost:{port} {{\n\tbind 127.0.0.1\n\t{certificate}"),
    )
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + site)
    return ["run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"], "serving initial config"


def _replaced(text: str, *changes: tuple[str, str]) -> str:
    for pattern, value in changes:
        text, count = re.subn(pattern, value, text)
        assert count, f"the configuration has no {pattern}"
    return text
