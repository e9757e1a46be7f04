"""A proxy in front of PostgreSQL that breaks a connection at its COMMIT."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.store.postgres import PostgresServer

COMMIT = b"Q\x00\x00\x00\x0cCOMMIT;\x00"


class CommitCutter:
    """Passes bytes on. cuts: connections that it broke."""

    def __init__(self, folder: Path, server: Path) -> None:
        self._folder = folder
        self._server = server
        self._next: bool | None = None
        self.cuts = 0

    def url_of(self, url: str) -> str:
        return url.replace(str(self._server), str(self._folder))

    def cut_next(self, *, reaches_server: bool) -> None:
        """Break the connection of the next COMMIT, after it was passed on or in its place."""
        self._next = reaches_server

    async def serve(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        server_reader, server = await asyncio.open_unix_connection(self._server / ".s.PGSQL.5432")
        cut = False

        async def to_server() -> None:
            nonlocal cut
            while data := await client_reader.read(65536):
                if COMMIT in data and self._next is not None:
                    cut, passed, self._next = True, self._next, None
                    self.cuts += 1
                    if passed:
                        server.write(data)
                    else:
                        server.close()
                        client.close()
                else:
                    server.write(data)

        async def to_client() -> None:
            while data := await server_reader.read(65536):
                if cut:
                    client.close()
                    return
                client.write(data)

        with suppress(ConnectionError):
            done, pending = await asyncio.wait(
                [asyncio.ensure_future(to_server()), asyncio.ensure_future(to_client())],
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in pending:
                task.cancel()
            await asyncio.wait(pending) if pending else None
            for task in done:
                task.exception()
        for writer in (client, server):
            writer.close()


@asynccontextmanager
async def cutting_commits(server: PostgresServer) -> AsyncIterator[CommitCutter]:
    with tempfile.TemporaryDirectory(prefix="sluice-cut-") as folder:
        cutter = CommitCutter(Path(folder), server.folder)
        serving: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(cutter.serve(reader, writer))
            serving.add(task)
            task.add_done_callback(serving.discard)

        listener = await asyncio.start_unix_server(accept, Path(folder) / ".s.PGSQL.5432")
        try:
            yield cutter
        finally:
            listener.close()
            if serving:
                await asyncio.wait(serving)
