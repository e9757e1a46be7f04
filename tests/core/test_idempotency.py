"""The same key at the same moment: one beginning, one stream, and a conflict for another request."""

import asyncio
from typing import cast

import pytest

from gateway.contract.errors import Conflict, NoWorker
from gateway.contract.exchanges import ClaimedStream, IdempotencyClaim
from gateway.contract.record import replace
from gateway.contract.store import MessageStore
from gateway.core.idempotency import Idempotency

HI = IdempotencyClaim("once", "fingerprint of Hi")
HO = IdempotencyClaim("once", "fingerprint of Ho")


class Claims:
    """A store in which Anna used the key `earlier`."""

    async def claimed(self, user_id: str, key: str) -> ClaimedStream | None:
        known = (user_id, key) == ("anna", "earlier")
        return ClaimedStream("fingerprint of Hi", "stream-0") if known else None


class Beginning:
    """A `begin` that lasts until it is let go."""

    def __init__(self) -> None:
        self.calls = 0
        self.reached = asyncio.Event()
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> str:
        self.calls += 1
        self.reached.set()
        return await asyncio.shield(self.outcome)


@pytest.fixture
def idempotency() -> Idempotency:
    return Idempotency(cast(MessageStore, Claims()))


@pytest.fixture
async def begin() -> Beginning:
    return Beginning()


async def test_another_request_with_a_key_that_is_beginning_is_a_conflict(
    idempotency: Idempotency, begin: Beginning
) -> None:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        first = group.create_task(idempotency.once("anna", HI, begin))
        await begin.reached.wait()
        with pytest.raises(Conflict):
            await idempotency.once("anna", HO, begin)
        with pytest.raises(Conflict):
            await idempotency.existing("anna", HO)
        begin.outcome.set_result("stream-1")
    assert (await first, begin.calls) == ("stream-1", 1)


async def test_the_same_request_waits_for_the_first_and_gets_its_stream(
    idempotency: Idempotency, begin: Beginning
) -> None:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        first = group.create_task(idempotency.once("anna", HI, begin))
        await begin.reached.wait()
        again = [
            group.create_task(idempotency.once("anna", HI, begin)),
            group.create_task(idempotency.existing("anna", HI)),
        ]
        await asyncio.sleep(0)
        begin.outcome.set_result("stream-1")
    assert [await first, *[await task for task in again]] == ["stream-1"] * 3
    assert begin.calls == 1


async def test_the_same_request_gets_the_error_of_the_first(
    idempotency: Idempotency, begin: Beginning
) -> None:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:

        async def fails() -> None:
            with pytest.raises(NoWorker):
                await idempotency.once("anna", HI, begin)

        group.create_task(fails())
        await begin.reached.wait()
        group.create_task(fails())
        await asyncio.sleep(0)
        begin.outcome.set_exception(NoWorker("nobody"))
    assert begin.calls == 1


async def test_another_account_has_keys_of_its_own(idempotency: Idempotency, begin: Beginning) -> None:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(idempotency.once("anna", HI, begin))
        await begin.reached.wait()
        other = Beginning()
        other.outcome.set_result("stream-2")
        assert await idempotency.once("bert", HO, other) == "stream-2"
        begin.outcome.set_result("stream-1")


async def test_when_the_first_is_cancelled_the_next_begins_in_its_place(
    idempotency: Idempotency, begin: Beginning
) -> None:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        first = group.create_task(idempotency.once("anna", HI, begin))
        await begin.reached.wait()
        second = group.create_task(idempotency.once("anna", HI, begin))
        await asyncio.sleep(0)
        first.cancel()
        begin.outcome.set_result("stream-1")
    assert (await second, begin.calls) == ("stream-1", 2)


async def test_when_both_are_cancelled_nothing_begins(idempotency: Idempotency, begin: Beginning) -> None:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        first = group.create_task(idempotency.once("anna", HI, begin))
        await begin.reached.wait()
        second = group.create_task(idempotency.once("anna", HI, begin))
        await asyncio.sleep(0)
        first.cancel()
        second.cancel()
        begin.outcome.set_result("stream-1")
    assert second.cancelled()
    assert begin.calls == 1


async def test_a_key_that_was_used_gives_its_stream_to_its_own_account_only(
    idempotency: Idempotency, begin: Beginning
) -> None:
    begin.outcome.set_result("stream-1")
    earlier, other = replace(HI, key="earlier"), replace(HO, key="earlier")
    assert await idempotency.existing("anna", earlier) == "stream-0"
    assert await idempotency.once("anna", earlier, begin) == "stream-0"
    assert begin.calls == 0
    for ask in (idempotency.existing("anna", other), idempotency.once("anna", other, begin)):
        with pytest.raises(Conflict):
            await ask
    assert await idempotency.existing("ben", other) is None
    assert await idempotency.once("ben", other, begin) == "stream-1"


async def test_another_process_that_was_faster_has_begun_it(idempotency: Idempotency) -> None:
    async def too_late() -> str:
        raise Conflict("taken")

    late = Idempotency(cast(MessageStore, ClaimedMeanwhile()))
    assert await late.once("anna", replace(HI, key="earlier"), too_late) == "stream-0"
    with pytest.raises(Conflict, match="taken"):
        await idempotency.once("anna", HI, too_late)


class ClaimedMeanwhile(Claims):
    """Knows of a claim only when it is asked for the second time."""

    def __init__(self) -> None:
        self._asked = 0

    async def claimed(self, user_id: str, key: str) -> ClaimedStream | None:
        self._asked += 1
        return await super().claimed(user_id, key) if self._asked > 1 else None
