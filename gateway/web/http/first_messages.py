"""A limit on what clients that have not shown a valid key or ticket make the gateway hold."""

MAX_BYTES = 64 * 1024 * 1024
"""Of their messages together. Beyond it, only messages of SMALL_BYTES are taken."""
SMALL_BYTES = 16 * 1024
"""A message with a key and a question of some pages fits in."""
FRAGMENT_BYTES = 256
"""Counted for each further frame of a message: also an empty one takes memory and time."""


class FirstMessages:
    """Counts the bytes of messages that arrive, by client. total: of all clients."""

    def __init__(self) -> None:
        self._held: dict[object, int] = {}
        self.total = 0

    def takes(self, client: object, more: int) -> bool:
        """Count bytes that have arrived. False if they are too many."""
        held = self._held.get(client, 0) + more
        if held > SMALL_BYTES and self.total + more > MAX_BYTES:
            return False
        self._held[client] = held
        self.total += more
        return True

    def holds(self, client: object, held: int) -> None:
        """Count only so many bytes of a client: those before them were answered."""
        self.forget(client)
        if held:
            self._held[client] = held
            self.total += held

    def forget(self, client: object) -> None:
        """The client was admitted or is gone."""
        self.total -= self._held.pop(client, 0)
