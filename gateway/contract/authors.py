"""Authors of messages: a user, a device or a model."""

from dataclasses import dataclass
from typing import Literal, cast

AuthorKind = Literal["user", "device", "assistant"]


@dataclass(frozen=True, slots=True)
class Author:
    """name: of the user, the device or the model; None while nobody has named the model."""

    kind: AuthorKind
    name: str | None

    def __str__(self) -> str:
        """The spelling in the database: `user:anna`, `device:robot-1`, `assistant:tiny`, `assistant:`."""
        return f"{self.kind}:{self.name or ''}"

    @classmethod
    def parse(cls, spelling: str) -> "Author":
        """The author that `str` spells so."""
        kind, _, name = spelling.partition(":")
        return cls(cast(AuthorKind, kind), name or None)
