"""Contract of transports."""

import asyncio

import pytest

from gateway.contract.errors import TransportError
from gateway.contract.events import Delta, Done, TransportEvent
from gateway.contract.record import replace
from gateway.contract.transport import Transport
from tests.contract.registry import TRANSPORT_RIGS, RigFactory
from tests.contract.rigs import TransportRig
from tests.reading import events_of, reading

TEXTS = [
    "Hello",
    "two\nlines\r\nand a tab\t.",
    'quotes " and \\ and {braces} and </tags>',
    "emoji 🙂 and a family 👩‍👩‍👧‍👦 and a flag 🇳🇴",
    "separators \u2028 and \u2029 and \x85 stay",
    "e\u0301 combining, 日本語, привет",
]


@pytest.fixture(params=TRANSPORT_RIGS, ids=lambda factory: factory.__name__)
def rig(request: pytest.FixtureRequest) -> TransportRig:
    factory: RigFactory = request.param
    return factory()


def text_of(events: list[TransportEvent | Done]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


@pytest.mark.parametrize("text", TEXTS)
async def test_the_text_arrives_exactly(rig: TransportRig, text: str) -> None:
    async with asyncio.timeout(120), rig.serving() as transport:
        events = await events_of(transport, rig.request(text))
    assert text_of(events) == text


async def test_a_reply_ends_with_exactly_one_done(rig: TransportRig) -> None:
    async with asyncio.timeout(120), rig.serving() as transport:
        events = await events_of(transport, rig.request("Hello"))
    assert [isinstance(event, Done) for event in events].count(True) == 1
    assert isinstance(events[-1], Done)


async def test_no_batch_is_empty(rig: TransportRig) -> None:
    async with (
        asyncio.timeout(120),
        rig.serving() as transport,
        reading(transport, rig.request("Hello there")) as stream,
    ):
        assert all([len(batch) > 0 async for batch in stream])


async def test_a_reply_in_one_piece_is_one_delta_with_its_done(rig: TransportRig) -> None:
    async with (
        asyncio.timeout(120),
        rig.serving() as transport,
        reading(transport, rig.request("Hello there")) as stream,
    ):
        batches = [batch async for batch in stream]
    done = batches[-1][-1]
    assert isinstance(done, Done)
    if done.granularity == "message":
        assert len(batches) == 1
        assert [type(event) for event in batches[0]].count(Delta) == 1


async def test_two_at_once_never_mix(rig: TransportRig) -> None:
    texts = [f"reply number {number} " + "xy " * number for number in range(4)]
    async with asyncio.timeout(120), rig.serving() as transport, asyncio.TaskGroup() as group:
        tasks = [group.create_task(events_of(transport, rig.request(text))) for text in texts]
    assert [text_of(task.result()) for task in tasks] == texts


async def test_leaving_the_block_frees_the_other_side(rig: TransportRig) -> None:
    async with asyncio.timeout(120), rig.serving() as transport:
        async with reading(transport, rig.endless()):
            pass
        await rig.idle()


async def test_a_reply_cancelled_while_waiting_leaves_nothing(rig: TransportRig) -> None:
    waiting = asyncio.Event()

    async def read_for_ever(transport: Transport) -> None:
        async with reading(transport, rig.endless()) as stream:
            waiting.set()
            async for _ in stream:
                pass

    async with asyncio.timeout(120), rig.serving() as transport:
        reader = asyncio.ensure_future(read_for_ever(transport))
        await waiting.wait()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await rig.idle()
        assert text_of(await events_of(transport, rig.request("still there"))) == "still there"


async def test_a_lost_peer_is_a_transport_error_and_its_return_needs_no_restart(rig: TransportRig) -> None:
    async with asyncio.timeout(120), rig.serving() as transport:
        assert text_of(await events_of(transport, rig.request("before"))) == "before"
        await rig.lose_peer()
        with pytest.raises(TransportError) as lost:
            await events_of(transport, rig.request("while away"))
        assert lost.value.retryable
        await rig.restore_peer()
        assert text_of(await events_of(transport, rig.request("after"))) == "after"


async def test_a_server_that_dies_with_a_request_is_told_as_one_that_broke_off(rig: TransportRig) -> None:
    """broke_off=1: the caller must not send the request to another server by itself."""
    async with asyncio.timeout(120), rig.serving() as transport:
        reply = asyncio.ensure_future(events_of(transport, replace(rig.endless(), broke_off=1)))
        await rig.break_off()
        with pytest.raises(TransportError) as broken:
            await reply
        assert broken.value.broke_off >= 1
