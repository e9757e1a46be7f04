"""What a model server says that it offers: its models, and its slots where it is llama.cpp's."""

from itertools import islice

import msgspec

from gateway.contract.errors import ProtocolViolation

MAX_MODELS = 1_000
MAX_NAME_CHARS = 256
"""A request may name no longer one."""


class _Model(msgspec.Struct):
    id: str
    owned_by: str | None = None


class _ModelList(msgspec.Struct):
    data: list[_Model] | None


class _Props(msgspec.Struct):
    total_slots: int | None = None


def models_told(body: bytes) -> tuple[tuple[str, ...], bool]:
    """The names that `/v1/models` lists, and whether it is llama.cpp; ProtocolViolation for rubbish.

    Names that are too long are left out, and what follows the first MAX_MODELS.
    """
    try:
        listed = msgspec.json.decode(body, type=_ModelList).data or ()
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ProtocolViolation("the model server's list of models was not understood") from exc
    names = (model.id for model in listed if len(model.id) <= MAX_NAME_CHARS)
    return tuple(islice(names, MAX_MODELS)), any(model.owned_by == "llamacpp" for model in listed)


def slots_told(body: bytes) -> int | None:
    """How many replies llama.cpp makes at a time, by its `/props`; None where it does not tell."""
    try:
        return msgspec.json.decode(body, type=_Props).total_slots
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
