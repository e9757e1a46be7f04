"""Replies of another gateway or an earlier start that are looked for at their worker."""

import pytest

from gateway.contract.errors import (
    Interrupted,
)
from tests.transports.mqtt.requests.kept_desk import Desk
from transports.mqtt.protocol.frames import (
    CancelFrame,
    ErrorFrame,
)
from transports.mqtt.requests.kept_request import BROKER_BACK_S


async def test_an_adopted_reply_is_looked_for_as_long_as_before_if_the_broker_is_lost() -> None:
    desk = Desk()
    reply = desk.adopt(find_within_s=BROKER_BACK_S + 5)
    desk.lose_broker()
    desk.requests.broker_is_back()
    desk.clock.advance(BROKER_BACK_S + 4)
    assert not reply.done.done()
    desk.clock.advance(1)
    assert isinstance(reply.done.exception(), Interrupted)


async def test_an_adopted_reply_waits_for_its_worker_and_no_longer_than_that() -> None:
    desk = Desk()
    desk.presence.forget_all()
    reply = desk.adopt(find_within_s=3.0)
    desk.clock.advance(2.9)
    assert not reply.done.done()
    desk.clock.advance(0.1)
    assert isinstance(reply.done.exception(), Interrupted)


async def test_an_adopted_reply_with_a_refused_resume_is_interrupted() -> None:
    desk = Desk()
    reply = desk.adopt()
    desk.says(ErrorFrame(desk.id, "unknown"))
    assert isinstance(reply.done.exception(), Interrupted)


async def test_an_adopted_reply_is_not_received_twice() -> None:
    desk = Desk()
    desk.adopt()
    with pytest.raises(Interrupted):
        desk.adopt(epoch=2)


async def test_the_cancel_has_the_epoch_and_is_not_sent_when_another_gateway_has_the_reply() -> None:
    desk = Desk()
    desk.adopt(epoch=3).leave()
    assert desk.asked() == [CancelFrame(desk.id, epoch=3)]
    desk.left = True
    desk.adopt(epoch=3).leave()
    assert len(desk.asked()) == 2, "only the resume"
