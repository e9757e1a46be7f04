"""What a model server says that it offers: its models, and its slots where it is llama.cpp's."""

from itertools import islice

import msgspec

from gateway.contract.accepts import ALL_KINDS
from gateway.contract.content import Kind
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


class _Modalities(msgspec.Struct):
    vision: bool = True
    audio: bool = True


class _Senses(msgspec.Struct):
    modalities: _Modalities = msgspec.field(default_factory=_Modalities)


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


def accepts_told(body: bytes) -> frozenset[Kind]:
    """What llama.cpp's model takes besides text, by its `/props`; all kinds where it does not tell."""
    try:
        told = msgspec.json.decode(body, type=_Senses).modalities
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ALL_KINDS
    refused: set[Kind] = set()
    if not told.vision:
        refused.add("image")
    if not told.audio:
        refused.add("audio")
    return ALL_KINDS - refused
