"""A text has no order: it is as it was said."""

from tests.dialects.order.frames import Heard


def hear(body: bytes) -> Heard:
    return Heard(body.decode())
