"""Settings and fixtures of all tests: asyncio as the event loop, and a check for tasks left running."""

import asyncio
import faulthandler
import functools
import gc
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from tests.first_imports import import_in_turns
from tests.order import slow_first

if TYPE_CHECKING:
    from tests.store.postgres import PostgresServer

AsyncTest = Callable[..., Awaitable[None]]

LONGEST_TEST_S = 1200
"""Ends a test that hangs and has no `asyncio.timeout` of its own, so that the run ends too."""

LONGEST_WITH_FIXTURES_S = LONGEST_TEST_S + 60
"""Ends the process of a test whose fixture hangs at its end: xdist fails the test and goes on with others."""

# The collected tests live until the end: a sixth of the collection's time went into looking for garbage.
gc.set_threshold(50_000, 50, 50)

# An example's duration depends on the machine, so it is no reason to fail.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# Hypothesis also draws constants of those of our modules that are loaded: even with `derandomize`, each of
# xdist's workers would draw other cases.
providers.is_local_module_file = lambda path: False  # type: ignore[attr-defined,assignment]


def pytest_xdist_auto_num_workers() -> int:
    """The processes that `-n auto` starts: most of them begin with live tests, which mostly wait."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 3 * cores


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def database_may_be_slow() -> Iterator[None]:
    """Let the store of a test wait as long as the test: at load 13 twenty reads took more than 5 s."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("sql_store.READ_DEADLINE_S", "postgres.CONNECT_S", "pools.POOL_WAIT_S"):
            patch.setattr(f"gateway.store.{name}", 60)
        for name in ("CONNECT_S", "ANSWER_S"):
            patch.setattr(f"gateway.store.postgres_link.{name}", 60)
        patch.setattr("gateway.core.liveness.FENCE_S", 60)
        patch.setattr("gateway.redis.link.TIMEOUT_S", 60)
        patch.setattr("gateway.redis.link.LEASE_S", 3600)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator["PostgresServer"]:
    """The PostgreSQL of this test run. A test that stops the server needs one of its own."""
    from tests.store.postgres import postgres_server

    with postgres_server() as server:
        server.start()
        yield server


@pytest.fixture
async def no_task_is_left_over() -> AsyncIterator[None]:
    """Fail a test that leaves an asyncio task running.

    Tasks that end by themselves are none: a gateway that several tests share reads its database every 2 s.
    """
    before = asyncio.all_tasks()
    yield
    left = {task for task in asyncio.all_tasks() - before if "TestRunner" not in repr(task.get_coro())}
    if left:
        _, left = await asyncio.wait(left, timeout=10)
    assert not left, f"tasks left over: {left}"


def pytest_sessionstart(session: pytest.Session) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        import_in_turns(session)


def pytest_collection_finish() -> None:
    """Exempt the collected tests from garbage collection: they live until the run ends."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Dump the stacks and exit after LONGEST_WITH_FIXTURES_S."""
    faulthandler.dump_traceback_later(LONGEST_WITH_FIXTURES_S, exit=True, file=2)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def saying_where_it_hung(test: AsyncTest) -> AsyncTest:
    """Return the test, with its place in the report if a fixture's `asyncio.timeout` ends it.

    Such a timeout cancels the task that runs all tests and fixtures: pytest would show nothing of the test,
    and the tests after it that share a fixture could not run.
    """

    @functools.wraps(test)
    async def wrapped(**arguments: Any) -> None:
        try:
            async with asyncio.timeout(LONGEST_TEST_S):
                await test(**arguments)
        except asyncio.CancelledError as cancelled:
            raise TimeoutError("the test hung where CancelledError was raised") from cancelled

    return wrapped


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.fixturenames.append("no_task_is_left_over")
            item.obj = saying_where_it_hung(item.obj)
    if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
        items[:] = slow_first(items, int(workers))
