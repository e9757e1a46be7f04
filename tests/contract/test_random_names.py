"""gateway.contract.random_names: unguessable names, of which some begin with the time."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

import pytest

from gateway.contract import random_names
from gateway.contract.random_names import READ_AT_ONCE, ordered_hex, ordered_uuid, random_hex


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the reads, beginning with none in stock."""
    monkeypatch.setattr(random_names, "_drawn", [])
    sizes: list[int] = []
    read = os.urandom

    def counted(size: int) -> bytes:
        sizes.append(size)
        return read(size)

    monkeypatch.setattr(os, "urandom", counted)
    return sizes


def test_names_are_32_hex_digits_and_differ(reads: list[int]) -> None:
    names = [random_hex() for _ in range(3 * READ_AT_ONCE)]

    assert len(set(names)) == len(names)
    assert all(len(name) == 32 and set(name) <= set("0123456789abcdef") for name in names)
    assert reads == [16 * READ_AT_ONCE] * 3


def test_ordered_names_begin_with_the_time_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 0x0123_4567_89AB * 1_000_000 + 999_999)

    names = {ordered_hex() for _ in range(1000)}

    assert len({name[12:] for name in names}) == 1000
    assert all(name.startswith("0123456789ab") and len(name) == 32 for name in names)


def test_ordered_names_of_a_later_moment_come_after(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 1_700_000_000_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: now_ns)
    names = []
    for _ in range(100):
        names.append((ordered_hex(), ordered_uuid()))
        now_ns += 1_000_000

    assert names == sorted(names)
    assert [uuid for _, uuid in names] == sorted(uuid for _, uuid in names)


def test_uuids_say_that_they_begin_with_the_time() -> None:
    drawn = {ordered_uuid() for _ in range(1000)}

    assert len(drawn) == 1000
    for text in drawn:
        uuid = UUID(text)
        assert str(uuid) == text
        assert (uuid.version, uuid.variant) == (7, RFC_4122)
    assert {text[19] for text in drawn} == set("89ab")


def test_threads_never_get_the_same_name() -> None:
    with ThreadPoolExecutor(4) as threads:
        drawn = list(threads.map(lambda _: [random_hex() for _ in range(500)], range(8)))

    assert len({name for names in drawn for name in names}) == 4000


FORKING = """
import os
from gateway.contract.random_names import READ_AT_ONCE, random_hex
random_hex()  # there is a stock now
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, random_hex().encode())
    os._exit(0)
os.wait()
assert os.read(reader, 100).decode() not in {random_hex() for _ in range(READ_AT_ONCE)}
"""


def test_a_forked_process_draws_names_of_its_own() -> None:
    subprocess.run([sys.executable, "-c", FORKING], check=True)
