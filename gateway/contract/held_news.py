"""Holds back the news of replies while a read of many messages is handled."""

from typing import Protocol


class Listener(Protocol):
    def hear(self) -> None:
        """Write all new events."""
        ...


class HeldNews:
    """Within `with`, which has no await, listeners wait; at its end each hears once.

    A read from an MQTT broker has messages of many replies. To handle them all and then to write to all
    clients takes less CPU than both by turns for each message: the code stays in the caches, and a program
    that reads for several of these clients, as a proxy does, is woken once.

    waiting: the listeners in their order; None outside of `with`.
    """

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: dict[Listener, None] | None = None

    def __enter__(self) -> None:
        self.waiting = {}

    def __exit__(self, *_: object) -> None:
        waiting, self.waiting = self.waiting, None
        for listener in waiting or ():
            listener.hear()
