"""One thread that runs functions for the event loop, one after the other."""

from asyncio import Future, get_running_loop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

R = TypeVar("R")


class LoopThread:
    """A ThreadPoolExecutor takes twice the CPU for a call: it makes two futures and waits for a lock."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run functions during the block. Leaving it waits for those that were called before."""
        thread = Thread(target=self._run, name=self._name, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._calls.put(None)
            thread.join()

    def call(self, work: Callable[[], R]) -> Future[R]:
        """Run `work` in the thread. Cancelling the future does not stop it."""
        outcome: Future[R] = get_running_loop().create_future()
        self._calls.put((work, outcome))
        return outcome

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            work, outcome = call
            result, error = None, None
            try:
                result = work()
            except BaseException as raised:  # noqa: BLE001 - the caller gets it
                error = raised
            outcome.get_loop().call_soon_threadsafe(_settle, outcome, result, error)
            del call, work, outcome, result, error  # the thread waits, and would keep them alive


def _settle(outcome: Future[R], result: R, error: BaseException | None) -> None:
    if outcome.cancelled():
        return
    if error is None:
        outcome.set_result(result)
    else:
        outcome.set_exception(error)
