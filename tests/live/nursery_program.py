"""Loads the gateway's modules once, and forks a process for each command that it receives: see nursery.py."""

import atexit
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import cast

from typer.main import get_command

import gateway.cli
import transports
from gateway.web.api.page_files import files_version, packed_file, page_files
from gateway.web.endpoints.table import ELSEWHERE, ENDPOINTS
from gateway.web.http.endpoint import JsonEndpoint
from gateway.web.http.json_api import fastapi_of
from gateway.web.http.routes import Routes

MAX_COMMAND_BYTES = 1 << 17
PR_SET_PDEATHSIG = 1

LOADED_LATE = (
    *("aiosqlite", "alembic.autogenerate", "alembic.command", "anyio._backends._asyncio", "asyncpg"),
    *("pydantic.v1", "pygments.lexers.python", "uvicorn.lifespan.on", "uvloop"),
)
"""Modules that a start loads, and no import of our modules."""


def load_modules() -> None:
    """Import everything that a gateway loads until it listens, and make what it makes once: its routes, and
    the packed files of its page. Each fork has them."""
    for package in (gateway, transports):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "__main__" not in module.name and ".migrations" not in module.name:
                importlib.import_module(module.name)
    for name in LOADED_LATE:
        importlib.import_module(name)
    fastapi_of(ENDPOINTS, version="")
    Routes(ENDPOINTS, ELSEWHERE)
    files_version()
    for path in page_files():
        packed_file(path)
    gateway.cli.app = get_command(gateway.cli.app)  # type: ignore[assignment]  # what a call of it does first
    with suppress(ImportError):  # for its errors FastAPI reads an endpoint's source at the first request
        from fastapi.routing import _extract_endpoint_context as read_source

        for endpoint in ENDPOINTS:
            if isinstance(endpoint, JsonEndpoint):
                read_source(endpoint.handler)


def command_of_a_fork(listening: socket.socket) -> list[str]:
    """Fork for each command until all connections are closed. Returns the arguments, in the forks alone."""
    statuses: dict[int, int] = {}
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    connections: set[socket.socket] = set()
    while True:
        for key, _ in selector.select():
            if key.fileobj == woken:
                os.read(woken, 4096)
                _report_ended(statuses)
            elif key.fileobj is listening:
                connection, _ = listening.accept()
                connections.add(connection)
                selector.register(connection, selectors.EVENT_READ)
            else:
                connection = cast(socket.socket, key.fileobj)
                message, descriptors, _, _ = socket.recv_fds(connection, MAX_COMMAND_BYTES, 3)
                if not message:
                    selector.unregister(connection)
                    connections.remove(connection)
                    connection.close()
                    if not connections:
                        os._exit(0)
                    continue
                pid = os.fork()
                if pid == 0:
                    selector.close()
                    for each in (listening, *connections):
                        each.close()
                    return _prepared(message, descriptors)
                statuses[pid] = descriptors[2]
                for descriptor in descriptors[:2]:
                    os.close(descriptor)


def _report_ended(statuses: dict[int, int]) -> None:
    """Write the exit codes of forks that have ended, negative after a signal."""
    while statuses:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        code = os.waitstatus_to_exitcode(status)
        descriptor = statuses.pop(pid)
        with suppress(BrokenPipeError):  # its test was cancelled
            os.write(descriptor, f"{code}\n".encode())
        os.close(descriptor)


def _prepared(message: bytes, descriptors: list[int]) -> list[str]:
    """Make this fork what a new process would be: session, descriptors, signals, folder and environment."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a run that is killed leaves no processes
    os.write(descriptors[2], f"{os.getpid()}\n".encode())
    for standard, descriptor in enumerate((descriptors[0], descriptors[1], descriptors[1])):
        os.dup2(descriptor, standard)
    os.closerange(3, 1024)
    command = json.loads(message)
    os.chdir(command["cwd"])
    os.environ.clear()
    os.environ.update(command["environment"])
    arguments: list[str] = command["arguments"]
    return arguments


def _ended(code: int) -> None:
    """End as Python does, without freeing each object: that takes as much CPU as the start of a fork."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as Python does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    load_modules()
    gc.collect()
    gc.freeze()
    sys.argv[1:] = command_of_a_fork(socket.socket(fileno=int(sys.argv[1])))
    from gateway.__main__ import main

    try:
        main()
    except SystemExit as left:
        if not isinstance(left.code, int):
            raise
        _ended(left.code)
