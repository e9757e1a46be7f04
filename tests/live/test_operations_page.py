"""The commands of docs/operations.md that lead from nothing to production, in their order."""

import asyncio
import re
import shlex
import signal
from pathlib import Path

import pytest

from tests.issuer.issuer_server import AUDIENCE, IssuerServer
from tests.live.brokers import free_port
from tests.live.nursery import forked_sluice
from tests.live.programs import ROOT
from tests.live.scripted_model import scripted_model
from tests.plain_http import plain_http
from tests.web.gateway_server import STREAM

pytestmark = pytest.mark.live


def blocks(title: str = "From nothing to production") -> list[list[str]]:
    """Return the commands of the section's blocks."""
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    section = page.partition(f"## {title}\n")[2].partition("\n## ")[0]
    found = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [[line.strip() for line in block.splitlines() if line.strip()] for block in found]


async def typed(command: str, folder: Path, **settings: str) -> str:
    """Run a command in this folder and return what it says."""
    program, *arguments = shlex.split(command)
    assert program == "sluice"
    async with forked_sluice(*arguments, cwd=folder, **settings) as running:
        code = await running.ended()
    assert code == 0, f"{command}: {running.said}"
    return running.said


async def test_the_commands_lead_to_a_gateway_with_keys_and_a_backup(tmp_path: Path) -> None:
    (*prepare, serve), beside, upgrade = blocks()
    assert serve == "sluice serve"
    async with asyncio.timeout(120), scripted_model() as model:
        settings = {"LLM_SERVER_URL": model, "PORT": str(free_port()), "PYTHONPATH": str(ROOT)}
        said = [await typed(command, tmp_path, **settings) for command in prepare]
        key = re.findall(r"sk-\S+", said[1])[0]
        async with forked_sluice("serve", cwd=tmp_path, **settings) as gateway:
            url = (await gateway.until_said(r"listening on (http://\S+)"))[1]
            async with plain_http(url) as client:
                headers = {"authorization": f"Bearer {key}"}
                answer = await client.post(STREAM, json={"content": "say hi"}, headers=headers)
                stranger = await client.post(STREAM, json={"content": "say hi"})
            backed_up = [await typed(command, tmp_path, **settings) for command in beside]
            assert await gateway.end(signal.SIGTERM) == 0
        for command in upgrade:
            await typed(command, tmp_path, **settings)
    assert '"done"' in answer.text, answer.text
    assert '"done"' not in stranger.text
    assert "sluice-today.db" in backed_up[0]


async def test_the_commands_make_a_gateway_accept_an_issuers_tokens(tmp_path: Path) -> None:
    (install, export, *prepare, serve), (curl,) = blocks("Accept tokens of an issuer")
    assert install == "pip install 'sluice-gateway[jwt]'"
    assert serve == "sluice serve"
    async with asyncio.timeout(120), scripted_model() as model, IssuerServer().running() as issuer:
        settings = {"LLM_SERVER_URL": model, "PORT": str(free_port()), "PYTHONPATH": str(ROOT)}
        program, *assignments = shlex.split(export)
        assert program == "export"
        settings |= dict(assignment.split("=", 1) for assignment in assignments)
        assert settings["ISSUER_URL"].startswith("https://")
        assert settings["ISSUER_AUDIENCE"] == AUDIENCE
        settings["ISSUER_URL"] = issuer.url
        said = [await typed(command, tmp_path, **settings) for command in prepare]
        async with forked_sluice("serve", cwd=tmp_path, **settings, HOST="0.0.0.0") as gateway:
            port = (await gateway.until_said(r"listening on http://0.0.0.0:(\d+)"))[1]
            program, url, option, header = shlex.split(curl)
            assert (program, option) == ("curl", "-H")
            name, value = header.replace("$TOKEN", issuer.token()).split(": ")
            url = url.replace("8000", port)
            async with plain_http() as client:
                answer = await client.get(url, headers={name: value})
                stranger = await client.get(url)
            assert await gateway.end(signal.SIGTERM) == 0
    assert "3 keys; the names of its users end with :" in said[0]
    assert (answer.status_code, answer.json()["object"]) == (200, "list")
    assert stranger.status_code == 401
    assert "sluice.issuer: the issuer has 3 keys" in gateway.said
