"""Requests that a transport cannot carry, found before anything is saved."""

import pytest

from gateway.contract.errors import TooLarge
from gateway.contract.requests import ChatRequest, Turn
from gateway.contract.transport import Abilities, TransportInfo
from gateway.core.failover import Route, fitting
from transports.scripted import ScriptedTransport, tokens

REQUEST = ChatRequest("f" * 32, [Turn("user", "Hi")])
INFO = TransportInfo("x", "token")


def too_large(_: ChatRequest) -> None:
    raise TooLarge("too large")


ROOMY = ScriptedTransport(lambda _: tokens("x"))
NARROW = ScriptedTransport(lambda _: tokens("x"), abilities=Abilities(check=too_large))


def test_a_request_that_one_transport_cannot_carry_goes_to_the_next() -> None:
    roomy = Route(ROOMY, INFO)
    assert fitting(Route(NARROW, INFO, onward=lambda: roomy), REQUEST) is roomy


def test_a_request_that_no_transport_can_carry_is_refused() -> None:
    with pytest.raises(TooLarge):
        fitting(Route(NARROW, INFO), REQUEST)
