"""What is written of a log record: one line, and no secret that happened to be in it."""

import logging

import msgspec

from gateway.core.keys import draw_key
from gateway.core.tickets import Tickets
from gateway.logs import JsonLines, TextLines


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("sluice", logging.INFO, __file__, 1, message, None, None)


def test_a_key_or_a_ticket_in_a_message_is_not_written() -> None:
    key = draw_key()
    ticket = Tickets(b"secret", 60, lambda: 0).issue("stream", "anna")
    told = record(f"GET /messages/stream/x?ticket={ticket}&format=lam with {key}")
    for written in (TextLines().format(told), msgspec.json.decode(JsonLines().format(told))["message"]):
        assert key[3:] not in written
        assert ticket not in written
        assert "/messages/stream/x?ticket=…&format=lam with …" in written


def test_a_message_cannot_fake_a_second_line() -> None:
    told = record("one\r\n12:00:00 ERROR two")
    assert "\n" not in TextLines().format(told)
    assert "\n" not in JsonLines().format(told)


def test_what_is_no_secret_is_written_as_it_is() -> None:
    for harmless in ("task-force-of-the-century", "ticket", "sk-ip", "risk-assessment-of-everything"):
        assert TextLines().format(record(harmless)).endswith(harmless)
