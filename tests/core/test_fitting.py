"""Requests that a transport cannot carry, found before anything is saved."""

import pytest

from gateway.contract.errors import TooLarge
from gateway.contract.requests import ChatRequest, Turn
from gateway.contract.transport import TransportInfo
from gateway.core.failover import Route, fitting
from transports.scripted import ScriptedTransport, tokens

REQUEST = ChatRequest("f" * 32, [Turn("user", "Hi")])
INFO = TransportInfo("x", "token")
TRANSPORT = ScriptedTransport(lambda _: tokens("x"))


def too_large(_: ChatRequest) -> None:
    raise TooLarge("too large")


def test_a_request_that_one_transport_cannot_carry_goes_to_the_next() -> None:
    roomy = Route(TRANSPORT, INFO)
    assert fitting(Route(TRANSPORT, INFO, onward=lambda: roomy, check=too_large), REQUEST) is roomy


def test_a_request_that_no_transport_can_carry_is_refused() -> None:
    with pytest.raises(TooLarge):
        fitting(Route(TRANSPORT, INFO, check=too_large), REQUEST)
