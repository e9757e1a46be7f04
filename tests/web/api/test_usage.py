"""Usage over HTTP: whose, of which days, and what a wrong question is told."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.contract.events import Delta, Done, Usage
from gateway.contract.keys import Permission
from gateway.store.sql_store import SqlStore
from gateway.store.tables import token_usage
from tests.web.gateway_server import STREAM, Served, served
from tests.web.key_holders import bearer, make_key
from transports.scripted import Step

USAGE = "/api/chatbot/usage"
COUNTED: list[Step] = [[Delta("Hi"), Usage(7, 3, 10, 50.0), Done("stop", "tiny")]]
TOKENS = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, lambda _: COUNTED) as gateway:
        yield gateway


def today() -> str:
    return str(datetime.now(UTC).date())


async def used(
    gateway: Served, query: dict[str, str] | None = None, headers: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    answer = await gateway.http.get(USAGE, params=query, headers=headers or {})
    assert answer.status_code == 200, answer.text
    told: list[dict[str, Any]] = answer.json()
    return told


async def asked(gateway: Served, user_id: str, *permissions: Permission) -> dict[str, str]:
    """The headers of a user who has asked once."""
    headers = bearer(await make_key(gateway, user_id, frozenset({"chat", *permissions})))
    assert (await gateway.http.post(STREAM, json={"content": "Hi"}, headers=headers)).status_code == 200
    return headers


async def test_a_reply_is_counted_by_day_and_model(gateway: Served) -> None:
    assert await used(gateway) == []
    before = today()
    await gateway.events({"content": "Hi"})
    (told,) = await used(gateway)
    assert told.pop("day") in {before, today()}
    assert told == {"model": "tiny", "replies": 1, **TOKENS}


async def test_a_rehearsal_is_not_counted_and_a_deleted_session_stays_counted(gateway: Served) -> None:
    template = (await gateway.http.post("/api/chatbot/templates", json={"name": "t"})).json()
    await gateway.http.post(f"/api/chatbot/templates/{template['id']}/test", json={"content": "Hi"})
    assert await used(gateway) == []
    await gateway.events({"content": "Hi"})
    assert (await gateway.http.delete("/api/chatbot/sessions/1")).status_code == 204
    assert [row["replies"] for row in await used(gateway)] == [1]


async def test_users_see_their_own_and_administrators_everybodys(gateway: Served) -> None:
    anna, ben = await asked(gateway, "anna"), await asked(gateway, "ben", "admin")
    assert [row.keys() & {"user"} for row in await used(gateway, headers=anna)] == [set()]
    assert [(row["user"], row["replies"]) for row in await used(gateway, {"user": "*"}, ben)] == [
        ("anna", 1),
        ("ben", 1),
    ]
    assert [row["user"] for row in await used(gateway, {"user": "anna"}, ben)] == ["anna"]
    assert await used(gateway, {"user": "nobody"}, ben) == []
    for user in ("*", "ben", "anna", "nobody"):
        refused = await gateway.http.get(USAGE, params={"user": user}, headers=anna)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_days_are_the_last_thirty_unless_they_are_named(gateway: Served) -> None:
    await gateway.events({"content": "Hi"})
    now = datetime.now(UTC).date()
    assert len(await used(gateway, {"from": str(now - timedelta(days=300))})) == 1
    assert await used(gateway, {"to": str(now - timedelta(days=2))}) == []
    assert await used(gateway, {"from": str(now), "to": str(now - timedelta(days=1))}) == []
    assert len(await used(gateway, {"from": "0001-01-01", "to": "9999-12-31"})) == 1
    assert await used(gateway, {"to": "0001-01-01"}) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "query.from"),
        ("from=2026-02-30", "query.from"),
        ("from=1700000000", "query.from"),
        ("to=2026-01-01T00:00:00", "query.to"),
        ("to=", "query.to"),
    ],
)
async def test_days_that_cannot_be_are_422(gateway: Served, query: str, field: str) -> None:
    refused = await gateway.http.get(f"{USAGE}?{query}")
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == [field]


@pytest.mark.parametrize("claimed", [2**53 - 1, 10**9 + 1, -1])
async def test_a_claim_that_cannot_be_true_is_not_counted(tmp_path: Path, claimed: int) -> None:
    script: list[Step] = [[Delta("Hi"), Usage(claimed, claimed, claimed), Done("stop", "tiny")]]
    async with served(tmp_path, lambda _: script) as gateway:
        for _ in range(3):
            *_, done = await gateway.events({"content": "Hi"})
        (told,) = await used(gateway)
    assert "usage" not in done
    assert (told["replies"], told["prompt_tokens"], told["total_tokens"]) == (3, 0, 0)


@pytest.mark.parametrize("rows", [0, 1, 1000, 1001, 2500])
async def test_a_long_answer_is_told_whole_and_a_page_at_a_time(tmp_path: Path, rows: int) -> None:
    async with served(tmp_path, lambda _: COUNTED) as gateway:
        store = gateway.assembled.gateway.store
        assert isinstance(store, SqlStore)

        def fill(connection: Connection) -> None:
            row = {column.name: 1 for column in token_usage.c} | {"user_id": "local", "model": "tiny"}
            days = (date(2000, 1, 1) + timedelta(days=number) for number in range(rows))
            if rows:
                connection.execute(token_usage.insert(), [{**row, "day": str(day)} for day in days])

        await store._database.transact(fill)
        told = await used(gateway, {"from": "2000-01-01", "to": "2100-01-01"})
    assert len(told) == rows
    assert [row["day"] for row in told] == sorted({row["day"] for row in told})
