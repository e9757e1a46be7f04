"""Nothing that goes wrong with a model server leaves the transport in a foreign language."""

import json
from collections.abc import Iterator

import httpx
import pytest

from gateway.contract.errors import (
    ContextExceeded,
    GatewayError,
    Loading,
    ModelRefused,
    Overloaded,
    ProtocolViolation,
    TimedOut,
    TransportError,
    Unreachable,
    UpstreamFailed,
)
from transports.llama.failures import ForeignErrors, refusal


def leaves(kind: type[httpx.RequestError]) -> Iterator[type[httpx.RequestError]]:
    if not kind.__subclasses__():
        yield kind
    for derived in kind.__subclasses__():
        yield from leaves(derived)


@pytest.mark.parametrize("answered", [False, True], ids=["before the answer", "in the answer"])
@pytest.mark.parametrize("foreign", list(leaves(httpx.RequestError)))
def test_every_error_of_httpx_becomes_ours(foreign: type[httpx.RequestError], answered: bool) -> None:
    with pytest.raises(TransportError) as raised, ForeignErrors(answered=answered):
        raise foreign("10.0.0.1 said something private")
    assert isinstance(raised.value.__cause__, foreign)
    assert "private" not in str(raised.value)


@pytest.mark.parametrize(
    ("foreign", "before", "within"),
    [
        (httpx.ConnectError, Unreachable, Unreachable),
        (httpx.ConnectTimeout, Unreachable, Unreachable),
        (httpx.ReadError, UpstreamFailed, UpstreamFailed),
        (httpx.WriteError, Unreachable, UpstreamFailed),
        (httpx.ReadTimeout, TimedOut, TimedOut),
        (httpx.WriteTimeout, TimedOut, TimedOut),
        (httpx.RemoteProtocolError, ProtocolViolation, ProtocolViolation),
    ],
)
def test_the_same_trouble_may_mean_another_thing_once_an_answer_has_begun(
    foreign: type[httpx.RequestError], before: type[TransportError], within: type[TransportError]
) -> None:
    with pytest.raises(before), ForeignErrors(answered=False):
        raise foreign("")
    with pytest.raises(within), ForeignErrors(answered=True):
        raise foreign("")


@pytest.mark.parametrize(
    ("foreign", "broke_off"),
    [
        (httpx.ConnectError, 0),
        (httpx.ConnectTimeout, 0),
        (httpx.WriteError, 0),
        (httpx.WriteTimeout, 0),
        (httpx.ReadError, 1),
        (httpx.ReadTimeout, 1),
    ],
)
def test_a_server_broke_off_only_if_it_had_the_whole_request(
    foreign: type[httpx.RequestError], broke_off: int
) -> None:
    with pytest.raises(TransportError) as raised, ForeignErrors(answered=False):
        raise foreign("")
    assert raised.value.broke_off == broke_off


@pytest.mark.parametrize(("status", "broke_off"), [(429, 0), (500, 0), (502, 1), (503, 0), (504, 1)])
def test_a_proxy_says_by_its_status_that_the_server_behind_it_broke_off(status: int, broke_off: int) -> None:
    error = refusal(status, None, b"")
    assert isinstance(error, TransportError)
    assert error.broke_off == broke_off


def test_what_is_not_of_httpx_passes_as_it_is() -> None:
    with pytest.raises(KeyError), ForeignErrors(answered=True):
        raise KeyError


WRONG_KEY = "the model server does not accept the gateway's API key"
LOADING = b'{"error":{"message":"Loading model","type":"unavailable_error","code":503}}'
TOO_LONG = (
    b'{"error":{"code":400,"message":"request (8020 tokens) exceeds","type":"exceed_context_size_error"}}'
)


@pytest.mark.parametrize(
    ("status", "body", "meaning", "message"),
    [
        (503, LOADING, Loading, "Loading model"),
        (503, b"", Overloaded, "the model server is not available"),
        (529, b'{"error":{"type":"overloaded_error","message":"Overloaded"}}', Overloaded, "Overloaded"),
        (429, b'{"error":"slow down"}', Overloaded, "slow down"),
        (408, b"", TimedOut, "the model server gave the request up as too slow"),
        (504, b"<html>", TimedOut, "the model server gave the request up as too slow"),
        (400, TOO_LONG, ContextExceeded, "request (8020 tokens) exceeds"),
        (404, b'{"detail":"no such model"}', ModelRefused, "no such model"),
        (422, b"\xff\xfe", ModelRefused, "the model server refused the request with status 422"),
        (400, b"[" * 60_000, ModelRefused, "the model server refused the request with status 400"),
        (401, b'{"error":"sk-123 is wrong"}', UpstreamFailed, WRONG_KEY),
        (403, b"", UpstreamFailed, WRONG_KEY),
        (500, b'{"error":{"message":"out of memory"}}', UpstreamFailed, "out of memory"),
        (501, b"", UpstreamFailed, "the model server answered with status 501"),
        (302, b"", UpstreamFailed, "the model server answered with status 302"),
    ],
)  # fmt: skip
def test_a_status_says_whose_fault_it_is(
    status: int, body: bytes, meaning: type[GatewayError], message: str
) -> None:
    error = refusal(status, None, body)
    assert type(error) is meaning
    assert str(error) == message


@pytest.mark.parametrize(
    ("status", "said", "meaning"),
    [
        (500, "Failed to parse messages: Missing tool call type", ModelRefused),
        (500, "Failed to parse tool call arguments as JSON: x", ModelRefused),
        (500, "Error: Jinja Exception: System message must be at the beginning.", ModelRefused),
        (500, "[json.exception.type_error.302] type must be string, but is null", ModelRefused),
        (500, "Unknown reasoning format: x", ModelRefused),
        (500, "image input is not supported - hint: if this is unexpected", UpstreamFailed),
        (500, "[json.exception.type_error.316] invalid UTF-8 byte at index 359: 0xE5", UpstreamFailed),
        (500, "Failed to load the model", UpstreamFailed),
        (503, "Jinja Exception", Overloaded),
    ],
)
def test_llama_cpps_500_for_a_request_at_fault_does_not_count_against_the_server(
    status: int, said: str, meaning: type[GatewayError]
) -> None:
    """Otherwise one client that repeats it makes mode auto suspend the server for everybody."""
    error = refusal(status, None, json.dumps({"error": {"message": said}}).encode())
    assert (type(error), str(error)) == (meaning, said)


@pytest.mark.parametrize(
    ("header", "retry_after_s"),
    [("7", 7.0), (None, None), ("Wed, 21 Oct", None), ("-1", None), ("9" * 400, None)],
)
def test_retry_after_is_handed_on_where_it_is_seconds(
    header: str | None, retry_after_s: float | None
) -> None:
    assert refusal(429, header, b"").retry_after_s == retry_after_s
    assert refusal(503, header, LOADING).retry_after_s == retry_after_s
