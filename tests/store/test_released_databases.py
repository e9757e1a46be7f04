"""Databases of every schema that a commit ever had are upgraded, and nothing in them is lost.

Each file in `released/` was dumped from a database that the code of the commit in its name made and filled;
the number is its migration. Commits with the same schema as one of these are left out. 0003 and 0004 were
never the last migration of a commit. A new migration adds a dump made by its own code.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from gateway.contract.authors import Author
from gateway.contract.events import ToolCall, Usage
from gateway.contract.exchanges import ClaimedStream, StoredError
from gateway.contract.keys import TokensOfDay
from gateway.contract.rooms import Member
from gateway.store import migrations
from gateway.store.sql_store import SqlStore
from tests.store.exchanges import answer, question
from tests.store.rigs import SqliteRig

NEVER_THE_LAST = {"0003", "0004"}
VERSIONS = Path(migrations.__file__).parent / "versions"
RELEASED = sorted((Path(__file__).parent / "released").glob("*.sql"))
TEXT = "Grüße, 日本語, 👩\u200d👩\u200d👧 and 'quotes'\nنص\u2028."
ANNA, BEN = Author("user", "anna"), Author("user", "ben")
MODEL, UNNAMED = Author("assistant", "tiny:1b"), Author("assistant", None)


def test_every_migration_has_a_dump_of_its_schema() -> None:
    written = {file.stem[1:5] for file in VERSIONS.glob("v*.py")}
    assert {file.stem[:4] for file in RELEASED} == written - NEVER_THE_LAST


@pytest.fixture(params=RELEASED, ids=lambda file: file.stem)
def released(request: pytest.FixtureRequest) -> Path:
    file: Path = request.param
    return file


@pytest.fixture
def rig(released: Path, tmp_path: Path) -> SqliteRig:
    rig = SqliteRig(tmp_path)
    with closing(sqlite3.connect(rig.file)) as connection:
        connection.executescript(released.read_text(encoding="utf-8"))
    return rig


@pytest.fixture
async def store(rig: SqliteRig) -> AsyncIterator[SqlStore]:
    async with asyncio.timeout(30), (store := rig.store()).running():
        yield store


async def test_messages_stay_as_they_were_and_become_one_path_with_authors(
    rig: SqliteRig, store: SqlStore
) -> None:
    annas, bens = await store.messages("anna", 1), await store.messages("ben", 2)

    assert [(message.id, message.parent_id, message.author) for message in annas] == [
        (1, None, ANNA),
        (2, 1, MODEL),
        (5, 2, ANNA),
        (6, 5, MODEL),
        (9, 6, ANNA),
        (10, 9, UNNAMED),
    ]
    assert [(message.id, message.parent_id, message.author) for message in bens] == [
        (3, None, BEN),
        (4, 3, UNNAMED),
        (7, 4, BEN),
        (8, 7, UNNAMED),
    ]
    assert [message.content for message in annas] == [
        *(TEXT, f"{TEXT} ja", "Stop it", "half", "Still streaming", "so far 👋")
    ]
    assert [(message.status, message.reason, message.error) for message in (annas[3], annas[5], *bens)] == [
        ("cancelled", "user_stop", None),
        ("streaming", None, None),
        ("complete", None, None),
        ("failed", "upstream_error", StoredError("upstream_error", "The model server broke off.")),
        ("complete", None, None),
        ("interrupted", "shutdown", StoredError("draining", "The gateway was stopped.")),
    ]
    whole = annas[1]
    assert (whole.usage, whole.ttft_ms, whole.reasoning) == (Usage(3, 4, 7, 12.5), 41.5, "hm")
    assert whole.tool_calls == (ToolCall("c1", "öffnen", '{"tor": "süd"}'),)
    assert await store.claimed("anna", "schlüssel") == ClaimedStream("f" * 64, whole.stream_id or "")
    assert (await store.exchange("anna", f"{3:032x}")).user_message_id == 5
    titles = [session.title for session in await store.sessions("anna")]
    assert titles == ["Empty", TEXT[:20]]


async def test_what_the_release_knew_besides_is_kept(released: Path, store: SqlStore) -> None:
    revision = released.stem[:4]

    assert [stored.key.name for stored in await store.keys.all()] == (
        ["laptop"] if revision >= "0004" else []
    )
    templates = [stored.template.name for stored in await store.templates.all("anna")]
    assert templates == (["Tor"] if revision >= "0005" else [])
    device = await store.device("robot-1")
    assert (device.user_id if device else None) == ("anna" if revision >= "0003" else None)
    latest = await store.latest_session("anna", "device:robot-1")
    assert (latest.id if latest else None) == (1 if revision >= "0003" else None)
    figures = await store.usage.figures()
    assert (figures.messages, figures.sessions) == (10, 3)


async def test_keys_keep_their_limits(released: Path, store: SqlStore) -> None:
    revision = released.stem[:4]
    limits = [
        (stored.key.tokens_per_day, stored.key.expires_at, stored.used) for stored in await store.keys.all()
    ]
    expected = (1000, datetime(2027, 1, 31, tzinfo=UTC), TokensOfDay(date(2026, 1, 2), 7))
    if revision >= "0013":
        assert limits == [expected]
    else:
        assert limits == [(None, None, None)] * (revision >= "0004")


async def test_life_goes_on(rig: SqliteRig, store: SqlStore) -> None:
    assert await store.sweep() == 1
    cut_off = await store.reply("anna", f"{5:032x}")
    assert (cut_off.status, cut_off.reason, cut_off.content) == ("interrupted", "interrupted", "so far 👋")

    exchange = await store.begin(question(1, user_id="anna", stream_id="new"))
    assert await store.finish(answer(exchange, model="tiny:1b", usage=Usage(1, 2, 3)))

    asked, replied = (await store.messages("anna", 1))[-2:]
    assert (asked.id, asked.parent_id, replied.parent_id) == (11, 10, 11)
    assert (await rig.ownership(10))[1] == 1


async def test_rooms_keep_their_members(released: Path, store: SqlStore) -> None:
    members = await store.rooms.members(1)
    kept = [Member("user", "anna", "owner"), Member("user", "ben"), Member("device", "robot-1", "watcher")]
    assert members == (kept if released.stem[:4] >= "0016" else [])


async def test_replies_keep_the_places_at_which_another_server_went_on(
    released: Path, store: SqlStore
) -> None:
    _, whole, *_ = await store.messages("anna", 1)
    assert whole.seams == ((4,) if released.stem[:4] >= "0017" else ())


async def test_messages_keep_the_ids_of_their_clients(released: Path, store: SqlStore) -> None:
    _, _, stop, *_ = await store.messages("anna", 1)
    assert stop.client_id == ("c-5" if released.stem[:4] >= "0018" else None)
