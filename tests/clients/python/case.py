"""A case is one call of one client package. The test compares what the case received with the database.

python case.py MODE=URL... MODULE...: runs the cases against each gateway and prints the results as JSON.
"""

import asyncio
import importlib
import json
import os
import sys
import traceback
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

REAL = "tiny"
"""The model of the real llama.cpp."""
SCRIPTED = "scripted"
"""The model of tests/live/scripted_model.py, which does what the first word of a question says."""

CASE_S = 60

Error = TypeVar("Error", bound=Exception)

Received = list[tuple[str, str]]
"""Replies that must be in the database: each with its status there and the text that the client received.
The text of a cancelled reply may be a beginning of the stored one."""


@dataclass(frozen=True)
class Asking:
    """The gateway's URL, and questions whose answers no other case gets."""

    url: str
    name: str

    def __call__(self, command: str, more: str = "") -> str:
        return f"{command} {self.name}{more}"


@dataclass(frozen=True)
class Case:
    client: str
    area: str
    call: str
    run: Callable[[Asking], Awaitable[Received]]


_cases: list[Case] = []


def case(client: str, area: str, call: str) -> Callable[[Callable[[Asking], Awaitable[Received]]], None]:
    """Register a case.

    Args:
        client: the package, as in its lock file.
        area: the part of the API.
        call: what is called, in a few words. Client, area and call together are unique.
    """

    def register(run: Callable[[Asking], Awaitable[Received]]) -> None:
        _cases.append(Case(client, area, call, run))

    return register


async def raised(kind: type[Error], work: Awaitable[object]) -> Error:
    """Return the error of this kind that `work` raises."""
    try:
        await work
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


async def read(pieces: AsyncIterable[object]) -> None:
    """Read to the end."""
    async for _ in pieces:
        pass


async def _result(one: Case, mode: str, url: str) -> dict[str, object]:
    told: dict[str, object] = {"client": one.client, "area": one.area, "call": one.call, "mode": mode}
    try:
        async with asyncio.timeout(CASE_S):
            received = await one.run(Asking(url, f"{one.client}, {one.area}, {one.call}"))
        return {**told, "received": received}
    except Exception as error:  # noqa: BLE001 - a case may fail in any way
        traceback.print_exc()
        status = getattr(error, "status_code", 0)
        said = str(error).partition("\n")[0].replace("|", "/")[:80]
        return {**told, "failed": f"HTTP {status}" if status else f"{type(error).__name__}: {said}"}


async def main(arguments: list[str]) -> None:
    gateways = [argument.split("=", 1) for argument in arguments if "=" in argument]
    for module in arguments:
        if "=" not in module:
            importlib.import_module(module)
    results = [await _result(one, mode, url) for mode, url in gateways for one in _cases]
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    sys.modules["case"] = sys.modules["__main__"]
    os.environ.update(NO_PROXY="*", OPENAI_API_KEY="none", ANTHROPIC_API_KEY="none")
    asyncio.run(main(sys.argv[1:]))
