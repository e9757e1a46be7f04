"""Log output: a record is one line, without control characters and without its secrets."""

import io
import logging
import sys
from collections.abc import Callable

import msgspec
import pytest

from gateway.contract import secrets
from gateway.contract.secrets import remember_secrets
from gateway.core.key_ring import draw_key
from gateway.core.tickets import Tickets
from gateway.telemetry.logs import JsonLines, QueuedLines, TextLines, configure_logs, flush_logs


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_known", set())
    monkeypatch.setattr(secrets, "_known_pattern", None)


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("sluice", logging.INFO, __file__, 1, message, args, None)


def raised(error: ValueError) -> logging.LogRecord:
    try:
        raise error
    except ValueError:
        return logging.LogRecord("sluice", logging.ERROR, __file__, 1, "failed", None, sys.exc_info())


def as_text(told: logging.LogRecord) -> str:
    return TextLines().format(told)


def as_json(told: logging.LogRecord) -> str:
    return JsonLines().format(told)


formats = pytest.mark.parametrize("written", [as_text, as_json])
Written = Callable[[logging.LogRecord], str]


@formats
def test_a_key_or_a_ticket_in_a_message_is_not_written(written: Written) -> None:
    key = draw_key()
    ticket = Tickets(b"secret", 60, lambda: 0).issue("stream", "anna")
    line = written(record("GET /messages/stream/x?ticket=%s&format=lam with %s", ticket, key))
    assert key[3:] not in line
    assert ticket not in line
    assert "/messages/stream/x?ticket=…&format=lam with …" in line


@formats
def test_a_message_cannot_fake_a_second_line(written: Written) -> None:
    assert "\n" not in written(record("one\r\n12:00:00 ERROR two"))


CONTROLS = [*map(chr, [*range(0x20), *range(0x7F, 0xA0)]), "\u2028", "\u2029", "\u202e", "\u2066", "\ud800"]


@formats
@pytest.mark.parametrize("character", CONTROLS, ids=lambda c: f"U+{ord(c):04X}")
def test_no_control_character_is_written_as_it_is(written: Written, character: str) -> None:
    said = f"a{character}b"
    for told in (record(said), record("%s", said), record("%r %s", 1, said), raised(ValueError(said))):
        line = written(told)
        assert not [c for c in line if c in CONTROLS and c != "\n"]
        line.encode()
        if written is as_json:
            assert "\n" not in line
            assert msgspec.json.decode(line)


@formats
def test_what_is_no_control_character_is_written_as_it_is(written: Written) -> None:
    assert "Grüße, 你好 👩‍🚀 \\o/" in written(record("Grüße, 你好 👩‍🚀 \\o/")).replace("\\\\", "\\")


def test_a_traceback_cannot_fake_a_record() -> None:
    first, *others = as_text(raised(ValueError("one\n12:00:00 ERROR   sluice: two"))).split("\n")
    assert first.endswith("failed")
    assert others
    assert all(line.startswith("  ") for line in others)


@formats
def test_a_traceback_holds_no_secret(written: Written) -> None:
    key = draw_key()
    line = written(raised(ValueError(f"postgresql://sluice:hunter2-x@db/sluice and {key}")))
    assert "hunter2" not in line
    assert key[3:] not in line
    assert "postgresql://…@db/sluice" in line


@formats
def test_a_known_secret_is_not_written_however_it_is_quoted(written: Written) -> None:
    secret = 'p"ss/w@rd \\ü-known'
    remember_secrets([secret])
    for spelt in (secret, "p%22ss%2Fw%40rd%20%5C%C3%BC-known", "p%22ss%2Fw%40rd+%5C%C3%BC-known"):
        line = written(record("refused: %s", spelt))
        assert "rd" not in line
        assert "known" not in line


@formats
def test_what_is_no_secret_is_written_as_it_is(written: Written) -> None:
    for harmless in ("task-force-of-the-century", "ticket", "sk-ip", "risk-assessment-of-everything"):
        assert harmless in written(record(harmless))
    assert "http://127.0.0.1:8080/v1?x=a@b" in written(record("asks http://127.0.0.1:8080/v1?x=a@b"))


@formats
def test_arguments_that_do_not_fit_lose_no_line(written: Written) -> None:
    assert "3 apples" in written(record("3 apples %d", "x"))


def test_lines_are_written_by_a_thread_and_stand_when_they_are_flushed() -> None:
    said: list[bytes] = []
    handler = QueuedLines(said.append, TextLines())
    handler.handle(record("one"))
    handler.handle(record("\ud800"))
    handler.flush()
    assert b"".join(said).decode().count("\n") == 2


def test_standard_error_may_be_a_stand_in_or_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        for stream in (io.StringIO(), None):
            monkeypatch.setattr(sys, "stderr", stream)
            configure_logs("info", "text")
            logging.getLogger("sluice").info("hello")
            flush_logs()
            if stream is not None:
                assert stream.getvalue().endswith("sluice: hello\n")
    finally:
        logging.basicConfig(handlers=before, level=level, force=True)
        logging.getLogger("sluice").setLevel(logging.NOTSET)


def test_a_json_line_has_the_fields_of_its_record_without_secrets_and_empty_ones() -> None:
    remember_secrets(["a long secret"])
    told = record("ended")
    told.__dict__["fields"] = {
        "user": "anna\n",
        "tokens": 3,
        "model": None,
        "note": "a long secret",
        "level": "fake",
    }
    line = msgspec.json.decode(as_json(told))
    assert (line["user"], line["tokens"], line["note"], line["level"]) == ("anna\n", 3, "…", "info")
    assert "model" not in line


def test_a_text_line_begins_with_its_date() -> None:
    told = record("ended")
    assert as_text(told).startswith(TextLines().formatTime(told, "%Y-%m-%d %H:%M:%S "))


def test_a_line_of_one_of_several_processes_has_its_name() -> None:
    told = record("ended")
    assert TextLines("box-2").format(told).endswith("sluice: [box-2] ended")
    assert msgspec.json.decode(JsonLines("box-2").format(told))["gateway"] == "box-2"
    assert "gateway" not in msgspec.json.decode(JsonLines().format(told))
