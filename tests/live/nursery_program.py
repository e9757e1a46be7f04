"""Loads the gateway's modules once, and forks a process for each command that it receives: see nursery.py."""

import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
from contextlib import suppress

import gateway
import transports
from gateway.web.endpoints.table import ENDPOINTS
from gateway.web.http.json_api import fastapi_of

MAX_COMMAND_BYTES = 1 << 17

LOADED_LATE = (
    *("aiosqlite", "alembic.autogenerate", "alembic.command", "anyio._backends._asyncio", "pydantic.v1"),
    *("pygments.lexers.python", "uvicorn.lifespan.on", "uvloop"),
)
"""Modules that a start loads, and no import of our modules."""


def load_modules() -> None:
    """Import everything that a gateway loads until it listens, and make its routes: each fork has them."""
    for package in (gateway, transports):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "__main__" not in module.name and ".migrations" not in module.name:
                importlib.import_module(module.name)
    for name in LOADED_LATE:
        importlib.import_module(name)
    fastapi_of(ENDPOINTS, version="")


def command_of_a_fork(control: socket.socket) -> list[str]:
    """Fork for each command from the socket until it is closed. Return the arguments, in the forks alone."""
    statuses: dict[int, int] = {}
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    while True:
        ready = {key.fileobj for key, _ in selector.select()}
        if woken in ready:
            os.read(woken, 4096)
            _report_ended(statuses)
        if control in ready:
            message, descriptors, _, _ = socket.recv_fds(control, MAX_COMMAND_BYTES, 3)
            if not message:
                os._exit(0)
            pid = os.fork()
            if pid == 0:
                selector.close()
                control.close()
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


if __name__ == "__main__":
    load_modules()
    gc.collect()
    gc.freeze()
    sys.argv[1:] = command_of_a_fork(socket.socket(fileno=int(sys.argv[1])))
    from gateway.__main__ import main

    main()
