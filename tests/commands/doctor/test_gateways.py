"""The check of the gateways' INTERNAL_URLs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.commands.doctor.clinic import Examined, doctor
from tests.store.postgres import SHARED, PostgresServer, requires_postgres
from tests.transports.llama.raw_server import raw_server
from tests.web.gateway_server import served
from transports.scripted import tokens

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
async def east(tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a gateway."""
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        yield gateway.url


async def examined(folder: Path, postgres: PostgresServer, **urls: str | None) -> Examined:
    """Return what doctor finds if gateways of these names and INTERNAL_URLs are never silent."""
    url = postgres.emptied()
    for name, internal_url in urls.items():
        shown = "NULL" if internal_url is None else f"'{internal_url}'"
        row = f"('{name}/{'0' * 16}', {shown}, now(), now() + interval '1 day')"
        postgres.sql(f"INSERT INTO gateways VALUES {row}", SHARED)  # noqa: S608 - of this test
    return await asyncio.to_thread(doctor, folder, DATABASE_URL=url)


def test_a_file_has_one_gateway(tmp_path: Path) -> None:
    assert doctor(tmp_path).level("gateways") == "skipped"


@pytest.mark.live
@requires_postgres()
async def test_a_gateway_alone_is_not_asked(tmp_path: Path, postgres: PostgresServer) -> None:
    assert (await examined(tmp_path, postgres, east=NOWHERE)).level("gateways") == "skipped"


@pytest.mark.live
@requires_postgres()
async def test_those_that_answer_are_well(tmp_path: Path, postgres: PostgresServer, east: str) -> None:
    (tmp_path / "west").mkdir()
    async with served(tmp_path / "west", lambda _: tokens("x")) as west:
        seen = await examined(tmp_path, postgres, east=east, west=west.url)
    assert seen.level("gateways") == "ok"
    assert "east, west answer at their INTERNAL_URL\n" in seen.output


@pytest.mark.live
@requires_postgres()
async def test_those_that_are_asked_under_another_name_are_well(
    tmp_path: Path, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", "chat.example")
    for name in ("east", "west"):
        (tmp_path / name).mkdir()
    async with (
        served(tmp_path / "east", lambda _: tokens("x"), allowed_hosts="chat.example") as east,
        served(tmp_path / "west", lambda _: tokens("x"), allowed_hosts="chat.example") as west,
    ):
        seen = await examined(tmp_path, postgres, east=east.url, west=west.url)
    assert seen.level("gateways") == "ok", seen.output


@pytest.mark.live
@requires_postgres()
@pytest.mark.parametrize(
    ("internal_url", "problem"),
    [
        (NOWHERE, f"nothing answers at INTERNAL_URL={NOWHERE}: "),
        (None, "it has no INTERNAL_URL. "),
    ],
)
async def test_one_that_is_not_reached_is_named(
    tmp_path: Path, postgres: PostgresServer, east: str, internal_url: str | None, problem: str
) -> None:
    seen = await examined(tmp_path, postgres, east=east, west=internal_url)
    level, found, fix = seen.problem("gateways")
    assert (level, fix.startswith("at west: INTERNAL_URL=http://")) == ("warning", True)
    assert found.startswith(f"west is not reached from this machine: {problem}")
    assert found.endswith("A reader of its replies who comes back to another gateway gets 503")


@pytest.mark.live
@requires_postgres()
async def test_another_program_is_no_gateway(tmp_path: Path, postgres: PostgresServer, east: str) -> None:
    async with raw_server() as other:
        other.answer = [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"]
        seen = await examined(tmp_path, postgres, east=east, west=other.url)
    _, found, _ = seen.problem("gateways")
    assert f"another program than a gateway answers at INTERNAL_URL={other.url}. " in found


@pytest.mark.live
@requires_postgres()
async def test_one_address_of_two_gateways(tmp_path: Path, postgres: PostgresServer, east: str) -> None:
    seen = await examined(tmp_path, postgres, east=east, west=east)
    assert seen.output.count(f"2 gateways have INTERNAL_URL={east}. ") == 2
