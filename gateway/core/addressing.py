"""Finds out if a message of a room addresses the model: `@model`, or `@` and the name of a model."""

import re
from collections.abc import Collection

ANY_MODEL = "model"


def addressed_model(text: str, models: Collection[str]) -> str | None:
    """Return the name after `@`, as `models` has it or `model`; None if the text addresses no model.

    The name may be in any case, between characters that cannot belong to a name or an e-mail address.
    """
    if "@" not in text:
        return None
    by_name = {ANY_MODEL: ANY_MODEL, **{name.casefold(): name for name in models}}
    longest_first = sorted(by_name, key=len, reverse=True)
    names = "|".join(map(re.escape, longest_first))
    found = re.search(rf"(?<![\w@.-])@({names})(?!\w)", text.casefold())
    return None if found is None else by_name[found[1]]
