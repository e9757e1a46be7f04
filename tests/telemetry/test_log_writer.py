"""A log that nobody reads: nothing waits for it, what is dropped is counted, and what flows again says so."""

import os
import threading
from collections.abc import Iterator
from queue import Queue

import pytest

from gateway.telemetry.log_writer import MAX_WRITE_BYTES, LogWriter, write_all


def dropped(count: int) -> bytes:
    return b"%d dropped\n" % count


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue  # The test has closed it.


def read_until(reader: int, end: bytes) -> bytes:
    said = b""
    while not said.endswith(end):
        said += os.read(reader, 65_536)
    return said


def test_lines_come_in_their_order(pipe: tuple[int, int]) -> None:
    reader, out = pipe
    writer = LogWriter(lambda data: write_all(out, data), dropped)
    lines = [b"line %d\n" % number for number in range(100)]
    for line in lines:
        writer.put(line)
    assert writer.flush()
    assert os.read(reader, 65_536) == b"".join(lines)


def test_lines_are_gathered_until_one_is_urgent_or_the_end_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.telemetry.log_writer.GATHER_S", 3600.0)
    written: Queue[bytes] = Queue()
    writer = LogWriter(written.put, dropped)
    writer.put(b"1\n")
    writer.put(b"2\n")
    writer.put(b"3\n", at_once=True)
    assert written.get(timeout=60) == b"1\n2\n3\n"
    writer.put(b"4\n")
    assert writer.flush(5)
    assert written.get(timeout=60) == b"4\n"
    writer.put(b"5\n" + b"x" * MAX_WRITE_BYTES)
    assert written.get(timeout=60)[:2] == b"5\n"


def test_a_pipe_that_nobody_reads_holds_nobody_up_and_tells_later_what_is_missing(
    pipe: tuple[int, int],
) -> None:
    reader, out = pipe
    writer = LogWriter(lambda data: write_all(out, data), dropped, max_bytes=200_000)
    line = b"x" * 99 + b"\n"
    for _ in range(10_000):  # a megabyte: the pipe takes 64 KiB of it
        writer.put(line)
    whole = count = 0
    while whole + count < 10_000:
        for said in read_until(reader, b"\n").splitlines(keepends=True):
            if said == line:
                whole += 1
            else:
                count += int(said.removesuffix(b" dropped\n"))
    assert whole + count == 10_000
    assert count > 5_000
    writer.put(b"after\n")
    assert read_until(reader, b"after\n") == b"after\n"


def test_what_was_dropped_is_said_before_the_next_line_that_fits() -> None:
    may_write, written = threading.Event(), bytearray()

    def write(data: bytes) -> None:
        may_write.wait()
        written.extend(data)

    writer = LogWriter(write, dropped, max_bytes=10)
    writer.put(b"12345678\n")
    writer.put(b"too much\n")
    writer.put(b"too much\n")
    may_write.set()
    assert writer.flush()
    writer.put(b"next\n")
    assert writer.flush()
    assert bytes(written) == b"12345678\n2 dropped\nnext\n"


def test_a_closed_pipe_harms_nothing(pipe: tuple[int, int]) -> None:
    reader, out = pipe
    os.close(reader)
    writer = LogWriter(lambda data: write_all(out, data), dropped)
    for _ in range(3):
        writer.put(b"lost\n")
        assert writer.flush()


def test_a_disk_that_was_full_tells_what_is_missing() -> None:
    full, written = [True], bytearray()

    def write(data: bytes) -> None:
        if full[0]:
            raise OSError(28, "No space left on device")
        written.extend(data)

    writer = LogWriter(write, dropped)
    writer.put(b"lost\n")
    assert writer.flush()
    full[0] = False
    writer.put(b"kept\n")
    assert writer.flush()
    assert bytes(written) == b"1 dropped\nkept\n"


def test_a_pipe_that_was_made_non_blocking_is_waited_for(pipe: tuple[int, int]) -> None:
    reader, out = pipe
    os.set_blocking(out, False)
    data = b"x" * 1_000_000 + b"\n"
    thread = threading.Thread(target=write_all, args=(out, data), daemon=True)
    thread.start()
    assert read_until(reader, b"\n") == data


def test_the_last_lines_are_not_waited_for_for_ever(pipe: tuple[int, int]) -> None:
    _, out = pipe
    writer = LogWriter(lambda data: write_all(out, data), dropped)
    writer.put(b"x" * 500_000 + b"\n")
    assert not writer.flush(timeout_s=0.01)
