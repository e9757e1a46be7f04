"""Authors of changes, as the administration endpoints show them."""

from typing import Annotated

from pydantic import BaseModel, Field

from gateway.contract.audit import Actor


class Author(BaseModel):
    """The author of a change."""

    name: Annotated[str, Field(description="The user; for a command, the user of the operating system.")]
    key_id: Annotated[int | None, Field(description="The API key; null without one.")]
    source: Annotated[str, Field(description="The client's address, or `command line`.")]


def author_of(actor: Actor) -> Author:
    return Author(name=actor.name, key_id=actor.key_id, source=actor.source)
