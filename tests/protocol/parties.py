"""The party under test, as far as a vector can touch it other than over MQTT."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class NotPossible(Exception):
    """This party cannot do what the vector needs; the vector is left out, and told so."""


class Reader(Protocol):
    """Somebody who asked a gateway.

    text: of the reply so far. told: what else was told but the end, oldest first, as docs/http.md writes it.
    last: `done` or `error`, None before the end.
    """

    @property
    def text(self) -> str: ...

    @property
    def told(self) -> Sequence[dict[str, Any]]: ...

    @property
    def last(self) -> dict[str, Any] | None: ...

    async def news(self) -> None:
        """Return when there may be more; the caller sets the deadline."""
        ...

    async def stop(self) -> None:
        """The user's stop."""
        ...


class Party(Protocol):
    """name: its client id, and its name in topics. abilities: what it can do of a vector's `needs`.

    running: it connects with the block, and goes with it.
    """

    @property
    def name(self) -> str: ...

    @property
    def abilities(self) -> frozenset[str]: ...

    def running(self) -> AbstractAsyncContextManager[None]: ...

    async def terminate(self) -> None:
        """As SIGTERM does: take nothing new, end what runs, go."""
        ...

    def dropped(self) -> int | None:
        """How many messages it threw away so far; None where it does not tell."""
        ...


class GatewayParty(Party, Protocol):
    def ask(self, content: object, model: str | None) -> Reader: ...

    def embed(self, input: Any, model: str | None) -> Reader:
        """Ask for the vectors of texts. `last` is `vectors` with them, or `error`."""
        ...

    async def until_known(self, workers: set[str]) -> None:
        """Return when these, and no others, would be sent requests; the caller sets the deadline."""
        ...
