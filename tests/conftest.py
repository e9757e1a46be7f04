"""What every test has: asyncio, and nothing left running behind it."""

import asyncio
import gc
import inspect
import os
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says something of the machine and nothing of the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: more workers than cores, since live tests wait for their servers most of the time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + (cores + 1) // 2


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def no_task_is_left_over() -> AsyncIterator[None]:
    """A test that leaves a task behind fails, whatever else it asserts."""
    before = asyncio.all_tasks()
    yield
    left = {task for task in asyncio.all_tasks() - before if "TestRunner" not in repr(task.get_coro())}
    assert not left, f"tasks left over: {left}"


def pytest_collection_finish() -> None:
    """Thousands of tests live as long as the run: take them out of the garbage collector's passes."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.fixturenames.append("no_task_is_left_over")
