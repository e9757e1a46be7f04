"""Texts that the database keeps compressed can be read again, whatever their length."""

import random
import zlib

import pytest

from gateway.contract.compression import compressed


@pytest.mark.parametrize("size", [0, 1, 256, 257, 4095, 4096, 4097, 100_000])
def test_a_text_is_read_again_by_zlib(size: int) -> None:
    text = bytes(random.Random(size).choices(b"0123456789 ", k=size))
    packed = compressed(text)
    assert zlib.decompress(packed) == text
    assert not packed.startswith(b"\0")  # gateway.core.event_lengths has another form that begins so
