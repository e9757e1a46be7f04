"""A gateway around a scripted transport as a process of its own, for tests that are not asynchronous."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.contract.events import Delta, Done, Usage
from gateway.contract.keys import ALL_PERMISSIONS
from tests.web.embedding_model import embedding_model
from tests.web.gateway_server import served
from tests.web.key_holders import make_key
from transports.scripted import Step

SAID: list[Step] = [[Delta("Hello"), Usage(3, 1, 4), Done("stop", "tiny")]]
"""Every reply."""


@contextmanager
def gateway_program(folder: Path, *, keyed: bool) -> Iterator[tuple[str, str]]:
    """Its URL, and a key to everything if it is `keyed`."""
    command = [sys.executable, "-m", __name__, str(folder), "keyed" if keyed else "open"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        told = json.loads(program.stdout.readline())
        yield told["url"], told["key"]
        # It ends when nobody holds its standard input any more.


async def main(folder: Path, *, keyed: bool) -> None:
    model = embedding_model(lambda _: SAID)
    # Its tests have time limits of their own: at load 10 a module of them took longer than ten minutes.
    async with served(
        folder, lambda _: SAID, within_s=36_000, sse=model, rate_per_minute=1_000_000
    ) as gateway:
        key = await make_key(gateway, "anna", ALL_PERMISSIONS) if keyed else ""
        sys.stdout.write(json.dumps({"url": gateway.url, "key": key}) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), keyed=sys.argv[2] == "keyed"))
