"""Reading an issuer's keys over HTTP: an issuer that is slow, away, or answers rubbish."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.issuer.discovery import MAX_BYTES, Discovery, DiscoveryFailed, max_age_in
from tests.issuer.issuer_server import CONFIGURATION, KEYS, IssuerServer
from tests.small_server import serving


@pytest.fixture
async def issuer() -> AsyncIterator[IssuerServer]:
    async with IssuerServer().running() as issuer:
        yield issuer


async def failure_of(issuer: IssuerServer, within_s: float = 60) -> str:
    with pytest.raises(DiscoveryFailed) as failed:
        await Discovery(issuer.url, within_s).keys()
    return str(failed.value).replace(issuer.url, "")


async def test_configuration_and_keys_are_read(issuer: IssuerServer) -> None:
    published = await Discovery(issuer.url).keys()
    assert (len(published.keys), published.max_age_s) == (3, 600)
    assert issuer.asked == [CONFIGURATION, KEYS]


async def test_an_issuer_that_is_away(issuer: IssuerServer) -> None:
    issuer.mode = "away"
    assert (await failure_of(issuer)).startswith(f"{CONFIGURATION} cannot be reached: ")


async def test_an_issuer_that_hangs_up_before_it_speaks_tls() -> None:
    """The error has no text."""

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with asyncio.timeout(30), serving(hang_up) as port:
        with pytest.raises(DiscoveryFailed, match=r"cannot be reached: .+"):
            await Discovery(f"https://127.0.0.1:{port}").keys()


async def test_an_issuer_that_never_answers(issuer: IssuerServer) -> None:
    issuer.mode = "slow"
    assert await failure_of(issuer, within_s=0.05) == f"{CONFIGURATION} does not answer within 0.05 s"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "does not answer with a JSON object: "),
        (b"", "does not answer with a JSON object: "),
        (b"[]", "does not answer with a JSON object: it is not a JSON object"),
        (b"[" * 100_000, "does not answer with a JSON object: it is nested too deeply"),
        (b'{"keys": [], "keys": []}', "does not answer with a JSON object: a name occurs twice"),
        (gzip.compress(b'{"keys": []}', mtime=0), "does not answer with a JSON object: "),
        (b"{}", "is not a key set: it has no list of keys"),
        (b'{"keys": {"a": 1}}', "is not a key set: it has no list of keys"),
        (b'{"keys": [7, {"kty": "oct", "k": "AAAA"}]}', "has no key for an accepted algorithm"),
        (b'{"keys": ["' + b"x" * MAX_BYTES + b'"]}', f"answers with more than {MAX_BYTES} bytes"),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_rubbish_in_place_of_keys(issuer: IssuerServer, body: bytes, said: str) -> None:
    issuer.mode = body
    assert (await failure_of(issuer)).startswith(f"{KEYS} {said}")


@pytest.mark.parametrize("status", ["302 Found", "308 Permanent Redirect", "404 Not Found", "500 Broken"])
async def test_a_redirect_is_not_followed_and_an_error_is_named(issuer: IssuerServer, status: str) -> None:
    issuer.status = status
    assert await failure_of(issuer) == f"{CONFIGURATION} answers with status {status[:3]}"
    assert issuer.asked == [CONFIGURATION]


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ({"issuer": "https://id.example/"}, "is the configuration of https://id.example/"),
        ({"issuer": None}, "is the configuration of None"),
        ({"jwks_uri": None}, "has no jwks_uri"),
        (
            {"jwks_uri": "http://10.0.0.1/keys"},
            "has a jwks_uri that is not allowed: it must begin with https",
        ),
        ({"jwks_uri": "file:///etc/passwd"}, "has a jwks_uri that is not allowed: "),
        ({"jwks_uri": "https://user:geheim@id.example/"}, "has a jwks_uri that is not allowed: "),
        ({"jwks_uri": "https://[::1"}, "has a jwks_uri that is not allowed: it is not an address"),
    ],
    ids=str,
)
async def test_a_wrong_configuration(issuer: IssuerServer, configuration: dict[str, Any], said: str) -> None:
    issuer.configuration = configuration
    failure = await failure_of(issuer)
    assert failure.startswith(f"{CONFIGURATION} {said}")
    assert "geheim" not in failure
    assert issuer.asked == [CONFIGURATION]


async def test_a_configuration_that_is_huge(issuer: IssuerServer) -> None:
    issuer.configuration = {"x": "x" * MAX_BYTES}
    assert await failure_of(issuer) == f"{CONFIGURATION} answers with more than {MAX_BYTES} bytes"


async def test_a_slash_at_the_end_of_the_issuer_is_not_doubled(issuer: IssuerServer) -> None:
    issuer.configuration = {"issuer": f"{issuer.url}/"}
    await Discovery(f"{issuer.url}/").keys()
    assert json.dumps(issuer.asked[0]) == json.dumps(CONFIGURATION)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 300),
        ("public", 300),
        ("public, max-age=900, must-revalidate", 900),
        ('MAX-AGE="900"', 900),
        ("max-age=0", 60),
        ("max-age=86400", 3600),
        ("s-maxage=900", 300),
        ("max-age=-1", 300),
        ("max-age=99999999999999999999", 3600),
        ("no-cache, max-age=900", 60),
        ("no-store", 60),
    ],
)
def test_the_age_of_keys_is_within_bounds(header: str, seconds: float) -> None:
    assert max_age_in(header) == seconds
