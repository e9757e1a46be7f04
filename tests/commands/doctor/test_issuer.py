"""The check of the issuer, with faults one by one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.commands.doctor.clinic import doctor
from tests.issuer.issuer_server import IssuerServer


@pytest.fixture
async def issuer() -> AsyncIterator[IssuerServer]:
    async with IssuerServer().running() as issuer:
        yield issuer


async def test_an_issuer_that_is_well(tmp_path: Path, issuer: IssuerServer) -> None:
    seen = await asyncio.to_thread(doctor, tmp_path, ISSUER_URL=issuer.url, ISSUER_AUDIENCE="sluice")
    assert seen.level("issuer") == "ok"
    assert f"{issuer.url} has 3 keys; the names of its users end with :" in seen.output


async def test_without_an_issuer_the_check_is_skipped(tmp_path: Path) -> None:
    seen = await asyncio.to_thread(doctor, tmp_path)
    assert seen.level("issuer") == "skipped"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("away", "cannot be reached: "),
        ("slash", "is the configuration of http"),
        ("rubbish", "does not answer with a JSON object: "),
    ],
)
async def test_an_issuer_that_fails(tmp_path: Path, issuer: IssuerServer, broken: str, said: str) -> None:
    if broken == "away":
        issuer.mode = "away"
    elif broken == "slash":
        issuer.configuration = {"issuer": f"{issuer.url}/"}
    else:
        issuer.mode = b"rubbish"
    seen = await asyncio.to_thread(doctor, tmp_path, ISSUER_URL=issuer.url, ISSUER_AUDIENCE="sluice")
    level, wrong, fix = seen.problem("issuer")
    assert (seen.code, level) == (2, "failure")
    assert wrong.startswith(f"ISSUER_URL={issuer.url}: {issuer.url}/")
    assert said in wrong
    assert fix.startswith(f"curl -i {issuer.url}/.well-known/openid-configuration, ")
