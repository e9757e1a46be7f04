"""Mode auto and a request over which transports break off: one more is asked, and other requests go on."""

from pathlib import Path

from gateway.contract.errors import Unreachable, UpstreamFailed
from gateway.contract.events import Failed, Finished
from gateway.contract.exchanges import IdempotencyClaim
from gateway.core.question import Question
from tests.core.house import USER, house
from tests.core.test_failover import auto, transport
from transports.scripted import tokens


def broke_off(servers: int = 1) -> UpstreamFailed:
    error = UpstreamFailed("the connection broke")
    error.broke_off = servers
    return error


async def test_the_second_transport_knows_that_one_broke_off(tmp_path: Path) -> None:
    sse, mqtt = transport("sse", broke_off()), transport("mqtt", *tokens("Hi"))
    async with house(tmp_path, lambda _: [], modes=auto(sse, mqtt)) as home:
        assert isinstance((await home.answer("Hi"))[-1], Finished)
    assert [request.broke_off for request in mqtt.seen_requests] == [1]


async def test_two_that_broke_off_end_the_reply_and_say_so(tmp_path: Path) -> None:
    sse, mqtt = transport("sse", broke_off()), transport("mqtt", broke_off())
    third = transport("third", *tokens("no"))
    async with house(tmp_path, lambda _: [], modes=auto(sse, mqtt, third)) as home:
        failed = (await home.answer("Hi"))[-1]
        row = (await home.store.messages(USER, 1))[1]
    assert isinstance(failed, Failed)
    assert (failed.reason, failed.code, failed.retryable) == ("upstream_error", "upstream_error", False)
    assert "2 model servers broke off" in failed.message
    assert row.error is not None
    assert row.error.message == failed.message
    assert third.seen_requests == []


async def test_a_transport_that_lost_two_servers_is_the_last(tmp_path: Path) -> None:
    sse, mqtt = transport("sse", broke_off(2)), transport("mqtt", *tokens("no"))
    async with house(tmp_path, lambda _: [], modes=auto(sse, mqtt)) as home:
        assert isinstance((await home.answer("Hi"))[-1], Failed)
    assert mqtt.seen_requests == []


async def test_transports_that_are_away_are_no_suspicion(tmp_path: Path) -> None:
    away = [transport(name, Unreachable("away")) for name in ("one", "two", "three")]
    last = transport("last", *tokens("Hi"))
    async with house(tmp_path, lambda _: [], modes=auto(*away, last)) as home:
        assert isinstance((await home.answer("Hi"))[-1], Finished)
    assert [request.broke_off for request in last.seen_requests] == [0]


async def test_a_suspect_opens_no_breaker(tmp_path: Path) -> None:
    sse, mqtt = transport("sse", broke_off()), transport("mqtt", broke_off())
    modes = auto(sse, mqtt, failures=1)
    async with house(tmp_path, lambda _: [], modes=modes) as home:
        for _ in range(3):
            assert isinstance((await home.answer("Hi"))[-1], Failed)
    assert modes.breakers() == {"sse": "closed", "mqtt": "closed"}


async def test_a_transport_that_breaks_off_over_what_another_answers_is_left_alone(tmp_path: Path) -> None:
    sse, mqtt = transport("sse", broke_off()), transport("mqtt", *tokens("Hi"))
    modes = auto(sse, mqtt, failures=2)
    async with house(tmp_path, lambda _: [], modes=modes) as home:
        for _ in range(3):
            assert isinstance((await home.answer("Hi"))[-1], Finished)
    assert modes.breakers() == {"sse": "open", "mqtt": "closed"}
    assert len(sse.seen_requests) == 2


async def test_the_same_idempotency_key_asks_nobody_again(tmp_path: Path) -> None:
    sse, mqtt = transport("sse", broke_off()), transport("mqtt", broke_off())
    async with house(tmp_path, lambda _: [], modes=auto(sse, mqtt)) as home:
        claim = IdempotencyClaim("key", "f" * 64)
        run = await home.ask("Hi", idempotency=claim)
        await run.ended.wait()
        again = await home.conversations.ask(Question(USER, "Hi", idempotency=claim))
    assert again == run.stream_id
    assert len(sse.seen_requests) == len(mqtt.seen_requests) == 1
