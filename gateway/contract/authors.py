"""Authors of messages: a user, a device or a model."""

from typing import Literal, cast

from msgspec import Struct

AuthorKind = Literal["user", "device", "assistant"]


class Author(Struct, frozen=True):
    """`name` is that of the user, device or model; None if the model is not known."""

    kind: AuthorKind
    name: str | None

    def __str__(self) -> str:
        """Return the form stored in the database: `user:anna`, `device:robot-1`, `assistant:tiny`; without a
        name `assistant:`."""
        return f"{self.kind}:{self.name or ''}"

    @classmethod
    def parse(cls, spelling: str) -> "Author":
        """Parse the result of `str(author)`."""
        kind, _, name = spelling.partition(":")
        return cls(cast(AuthorKind, kind), name or None)
