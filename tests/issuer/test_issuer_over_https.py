"""An issuer with a certificate of its own authority, which SSL_CERT_FILE names."""

import asyncio
import os
import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.commands.doctor.clinic import doctor
from tests.issuer.issuer_server import IssuerServer
from tests.live.guarded import run_script
from tests.web.gateway_server import served
from tests.web.key_holders import bearer

MISSING = shutil.which("openssl") is None and os.environ.get("REQUIRE_LIVE") != "1"

pytestmark = [pytest.mark.live, pytest.mark.skipif(MISSING, reason="needs openssl: install it")]

SESSIONS = "/api/chatbot/sessions"


@pytest.fixture
async def issuer(tmp_path: Path) -> AsyncIterator[IssuerServer]:
    code, said = await run_script("make_certificates.sh", tmp_path / "tls", "127.0.0.1", DAYS="1")
    assert code == 0, said
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "tls/server.crt", tmp_path / "tls/server.key")
    async with IssuerServer().running(tls) as issuer:
        yield issuer


async def test_its_tokens_are_accepted_with_its_authority(
    tmp_path: Path, issuer: IssuerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "tls/ca.crt"))
    async with served(tmp_path, lambda _: [], **issuer.settings()) as gateway:
        answer = await gateway.http.get(SESSIONS, headers=bearer(issuer.token()))
    assert answer.status_code == 200
    seen = await asyncio.to_thread(doctor, tmp_path, ISSUER_URL=issuer.url, ISSUER_AUDIENCE="sluice")
    assert seen.level("issuer") == "ok"


async def test_without_its_authority_the_reason_is_named_and_no_token_is_accepted(
    tmp_path: Path, issuer: IssuerServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, lambda _: [], **issuer.settings()) as gateway:
        answer = await gateway.http.get(SESSIONS, headers=bearer(issuer.token()))
    assert (answer.status_code, answer.json()["code"]) == (503, "issuer_unavailable")
    assert "certificate verify failed" in caplog.text
    seen = await asyncio.to_thread(doctor, tmp_path, ISSUER_URL=issuer.url, ISSUER_AUDIENCE="sluice")
    _, wrong, fix = seen.problem("issuer")
    assert "certificate verify failed" in wrong
    assert "SSL_CERT_FILE" in fix
