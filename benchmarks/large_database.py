"""The cost of a reply on SQLite in a database with many: with names of rows that begin with the time, and
with random ones, by turns.

    python benchmarks/large_database.py --replies 500000
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

from sqlalchemy import create_engine, insert

from gateway.contract.exchanges import FinalReply, NewExchange
from gateway.contract.random_names import ordered_hex, ordered_uuid, random_hex
from gateway.core.access import OwnerAccess
from gateway.store.engine import open_database
from gateway.store.maintenance import upgrade_database
from gateway.store.sql_store import SqlStore
from gateway.store.tables import messages, sessions

AT_ONCE = 16
TEXT = "word " * 40

NAMES: dict[str, tuple[Callable[[], str], Callable[[], str]]] = {
    "random": (random_hex, lambda: str(uuid4())),
    "ordered": (ordered_hex, ordered_uuid),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replies", type=int, default=500_000)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as name:
        asyncio.run(compared(Path(name), options.replies, options.repeat))


async def compared(folder: Path, replies: int, repeat: int) -> None:
    costs: dict[str, list[tuple[float, float]]] = {names: [] for names in NAMES}
    for names in NAMES:
        await filled(folder / f"{names}.db", replies, *NAMES[names])
    for _ in range(repeat):
        for names in NAMES:
            costs[names].append(await cost(folder / f"{names}.db", *NAMES[names]))
    for names, rounds in costs.items():
        cpu_us, written = (statistics.median(one[part] for one in rounds) for part in (0, 1))
        print(f"{names} names: {cpu_us:.0f} us of CPU and {written / 1024:.0f} KiB written for each reply")


async def filled(file: Path, replies: int, new_id: Callable[[], str], new_uuid: Callable[[], str]) -> None:
    """Make a database with this many replies, each in a session of its own."""
    await upgrade_database(open_database(url_of(file), "NORMAL"))
    now = datetime.now(UTC).replace(tzinfo=None)
    own = {"user_id": "local", "created_at": now}
    engine = create_engine(url_of(file).replace("+aiosqlite", ""))
    with engine.begin() as connection:
        for first in range(0, replies, 10_000):
            numbers = range(first + 1, min(first + 10_000, replies) + 1)
            opened = {"title": "Hi", "title_folded": "hi", "updated_at": now}
            rows = [
                {"id": number, "uuid": new_uuid(), "key": f"local-{random_hex()}"} | own | opened
                for number in numbers
            ]
            connection.execute(insert(sessions), rows)
            said = {"role": "assistant", "status": "complete", "content": TEXT}
            rows = [
                {"session_id": number, "uuid": new_uuid(), "stream_id": new_id()} | own | said
                for number in numbers
            ]
            connection.execute(insert(messages), rows)
    engine.dispose()


async def cost(
    file: Path, new_id: Callable[[], str], new_uuid: Callable[[], str], replies: int = 2000
) -> tuple[float, float]:
    """Store so many replies. Return the microseconds of CPU and the bytes written for each."""
    with (
        patch("gateway.store.new_sessions.ordered_uuid", new_uuid),
        patch("gateway.store.new_messages.ordered_uuid", new_uuid),
    ):
        store = SqlStore(url_of(file), access=OwnerAccess())
        async with store.running():
            await at_once(store, AT_ONCE, new_id)
            cpu_s, written = time.process_time(), bytes_written()
            for _ in range(replies // AT_ONCE):
                await at_once(store, AT_ONCE, new_id)
            done = replies // AT_ONCE * AT_ONCE
            return (time.process_time() - cpu_s) / done * 1e6, (bytes_written() - written) / done


async def at_once(store: SqlStore, replies: int, new_id: Callable[[], str]) -> None:
    async def one() -> None:
        session = await store.create_session("local", "Hi")
        begun = await store.begin(
            NewExchange("local", session.id, "Hi", "Hi", new_id(), mode="sse", delivery="token")
        )
        await store.finish(
            FinalReply(begun.assistant_message_id, "complete", "stop", TEXT, delivery="token", mode="sse")
        )

    await asyncio.gather(*(one() for _ in range(replies)))


def bytes_written() -> int:
    return int(Path("/proc/self/io").read_text().split("wchar: ")[1].split()[0])


def url_of(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"


if __name__ == "__main__":
    main()
