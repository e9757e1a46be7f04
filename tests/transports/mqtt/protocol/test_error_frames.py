"""Errors over MQTT: what a worker says of one, and what a gateway makes of it."""

import json

import pytest

from gateway.contract import errors
from transports.mqtt.protocol.error_frames import LONGEST_MESSAGE, error_frame, error_said
from transports.mqtt.protocol.frame_codec import decode_reply, encode
from transports.mqtt.protocol.frames import ErrorFrame


@pytest.mark.parametrize(
    "error",
    [
        errors.ModelRefused("too long"),
        errors.Unreachable("gone"),
        errors.Loading("soon"),
        errors.NoWorker("none"),
        errors.Overloaded("full"),
        errors.TimedOut("slow"),
        errors.UpstreamFailed("broke"),
        errors.ProtocolViolation("what"),
        errors.WorkerLost("lost"),
        errors.FrameGap("gap"),
    ],
    ids=lambda error: error.code,
)
def test_an_error_keeps_its_meaning_over_the_wire(error: errors.GatewayError) -> None:
    decoded = decode_reply(encode(error_frame("a", error)))
    assert isinstance(decoded, ErrorFrame)
    said = error_said(decoded)
    assert (type(said), str(said), said.retryable) == (type(error), str(error), error.retryable)


def test_an_unknown_error_code_is_a_failure_of_the_worker() -> None:
    said = error_said(ErrorFrame("a", "on_fire", "", False))
    assert type(said) is errors.UpstreamFailed
    assert not said.retryable


def test_a_model_server_may_write_a_novel_as_its_error() -> None:
    frame = error_frame("a", errors.UpstreamFailed("x" * 10_000))
    assert len(frame.message) == LONGEST_MESSAGE


def test_a_failed_worker_had_the_request_and_one_that_is_away_or_full_had_not() -> None:
    had = {
        code: error_said(ErrorFrame("a", code, "", True)) for code in ("upstream_error", "timeout", "on_fire")
    }
    had_not = {code: error_said(ErrorFrame("a", code)) for code in ("overloaded", "loading", "unreachable")}
    assert [getattr(error, "broke_off", None) for error in had.values()] == [1, 1, 1]
    assert [getattr(error, "broke_off", None) for error in had_not.values()] == [0, 0, 0]


def test_two_servers_that_broke_off_behind_one_worker_count_as_two() -> None:
    error = errors.UpstreamFailed("both gone")
    error.broke_off = 2
    payload = encode(error_frame("a", error))
    assert json.loads(payload)["broke_off"] == 2
    frame = decode_reply(payload)
    assert isinstance(frame, ErrorFrame)
    said = error_said(frame)
    assert isinstance(said, errors.UpstreamFailed)
    assert said.broke_off == 2


def test_one_server_that_broke_off_needs_no_field() -> None:
    error = errors.UpstreamFailed("gone")
    error.broke_off = 1
    assert "broke_off" not in json.loads(encode(error_frame("a", error)))
