"""A reply that is told again from the store is told as it was told live."""

from pathlib import Path

import pytest

from gateway.contract.errors import UpstreamFailed
from gateway.contract.events import Delta, ReaderEvent
from gateway.core.replays import terminal_of
from tests.core.house import USER, house


@pytest.mark.parametrize("retryable", [True, False])
async def test_the_end_of_a_failed_reply_says_again_whether_to_retry(tmp_path: Path, retryable: bool) -> None:
    error = UpstreamFailed("The model server broke off.")
    error.retryable = retryable

    async def break_off() -> None:
        raise error

    async with house(tmp_path, lambda _: [[Delta("Hel")], break_off]) as home:
        run = await home.ask("Hi")
        with home.runs.following(run) as reader:
            events: list[ReaderEvent] = []
            while (new := await reader.read()) is not None:
                events += new
        again = terminal_of(await home.store.reply(USER, run.stream_id))
    assert events[-1] == again
    assert again.retryable is retryable  # type: ignore[union-attr]
