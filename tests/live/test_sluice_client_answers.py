"""The page's JavaScript client in Node, and answers that come from no gateway or in parts."""

import asyncio
import json
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from tests.live.node import requires_node

pytestmark = [pytest.mark.live, requires_node()]

SCRIPT = Path(__file__).parents[1] / "page" / "odd_answers.mjs"


async def told_by(scenario: str) -> Any:
    async with asyncio.timeout(120):
        process = await asyncio.create_subprocess_exec("node", SCRIPT, scenario, stdout=PIPE, stderr=PIPE)
        told, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return json.loads(told)


async def test_every_failure_is_a_sluice_error() -> None:
    assert await told_by("errors") == {
        "page": "0 unreachable",
        "cutOff": "0 unreachable",
        "exported": "0 unreachable",
        "exportCutOff": "0 unreachable",
        "simulated": "0 unreachable",
    }


async def test_a_signal_that_was_aborted_before_asks_nothing() -> None:
    assert await told_by("abortedBefore") == {"last": None, "asked": 0}


async def test_a_reply_that_has_ended_lets_go_of_its_signal() -> None:
    assert await told_by("listeners") == {"text": "all", "listeners": 0}


async def test_a_pause_longer_than_a_timer_can_wait_is_no_flood_of_requests() -> None:
    assert await told_by("longPause") == {"warned": [], "asked": 2}


async def test_a_question_whose_connection_was_lost_is_asked_again_while_a_proxy_has_no_gateway() -> None:
    assert await told_by("lostThenProxy") == {"last": "done", "text": "all", "keys": 1}


async def test_a_proxy_without_a_gateway_refuses_a_first_question() -> None:
    assert await told_by("proxyFirst") == {"last": "error", "status": 502, "asked": 1}


async def test_a_server_that_asks_for_more_patience_than_there_is_gets_one_last_request() -> None:
    assert await told_by("askedForMore") == {"last": "error", "status": 503, "asked": 3}


async def test_a_pause_ends_when_the_visitor_wants_another_try_now() -> None:
    assert await told_by("triedAgainNow") == {"last": "done"}


async def test_a_connection_that_is_there_again_is_told_before_the_model_goes_on() -> None:
    assert await told_by("resumedInSilence") == {"state": "resumed"}


async def test_the_time_in_which_the_machine_slept_takes_no_patience() -> None:
    assert await told_by("slept") == {"last": "done"}


async def test_streams_that_are_only_read_wait_for_a_gateway_that_is_not_ready() -> None:
    assert await told_by("unreadyFirst") == {"followed": "done", "live": "404 http_404", "asked": 3}


async def test_a_question_that_is_stopped_while_no_gateway_can_be_reached_is_not_sent_again() -> None:
    message = "The question was stopped before a gateway took it."
    assert await told_by("stoppedUnasked") == {
        "first": "error",
        "last": "error",
        "message": message,
        "asked": 2,
    }
