"""How soon a gateway listens that has many replies of an earlier start to continue, on SQLite.

    python benchmarks/restart.py --replies 1000

The model server is away, so all of them wait. An empty database is measured beside it, by turns.
"""

import argparse
import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gateway.contract.exchanges import Checkpoint, NewExchange
from gateway.contract.random_names import random_hex
from gateway.core.access import OwnerAccess
from gateway.store.engine import open_database
from gateway.store.maintenance import upgrade_database
from gateway.store.sql_store import SqlStore

TEXT = "word " * 200


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replies", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as name:
        folder = Path(name)
        asyncio.run(filled(folder / "some.db", options.replies))
        asyncio.run(filled(folder / "none.db", 0))
        waits: dict[str, list[tuple[float, float]]] = {"none": [], "some": []}
        for _ in range(options.repeat):
            for which in waits:
                waits[which].append(listening(folder, which))
    for which, title in (("none", "no reply"), ("some", f"{options.replies} replies")):
        wall, cpu = (statistics.median(one[part] for one in waits[which]) for part in (0, 1))
        longest = max(one[0] for one in waits[which])
        print(f"{title}: listens after {wall:.2f} s (longest {longest:.2f}), {cpu:.2f} s of CPU")


async def filled(file: Path, replies: int) -> None:
    """Make a database with this many running replies."""
    url = f"sqlite+aiosqlite:///{file}"
    await upgrade_database(open_database(url, "NORMAL"))
    store = SqlStore(url, access=OwnerAccess())
    async with store.running():
        begun = [await store.begin(running_reply()) for _ in range(replies)]
        await store.checkpoint([Checkpoint(one.assistant_message_id, TEXT, None) for one in begun])


def running_reply() -> NewExchange:
    facts = {"mode": "sse", "asked_at": time.time(), "deadline_s": 600.0}
    handle = {"conversation_id": random_hex(), "reply": facts}
    return NewExchange(
        "local", None, "title", "question", random_hex(), mode="sse", delivery="token", handle=handle
    )


def listening(folder: Path, which: str) -> tuple[float, float]:
    """Start a gateway on a copy. Return the seconds until it listens, and its CPU time by then."""
    shutil.copy(folder / f"{which}.db", folder / "gateway.db")
    settings = {
        "PORT": "0",
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/gateway.db",
        "LLM_SERVER_URL": "http://127.0.0.1:1",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "gateway", "serve"]
    began = time.perf_counter()
    with subprocess.Popen(command, env=settings, stderr=subprocess.STDOUT, stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        said = b""
        while b"listening on" not in said:
            said = started.stdout.readline()
            assert said, "it ended"
        wait = time.perf_counter() - began
        ran_ns = int(Path(f"/proc/{started.pid}/schedstat").read_text().split()[0])
        started.kill()
    for file in folder.glob("gateway.db*"):
        file.unlink()
    return wait, ran_ns / 1e9


if __name__ == "__main__":
    main()
