"""Parses a model server's models, and slots and kinds of content if it is llama.cpp's."""

from itertools import islice

import msgspec

from gateway.contract.accepted_kinds import ALL_KINDS
from gateway.contract.content import Kind
from gateway.contract.errors import ProtocolViolation
from gateway.contract.events import token_count
from transports.lenient.loose_json import UNREADABLE

MAX_MODELS = 1_000
MAX_SLOTS = 65_536
MAX_NAME_CHARS = 256
"""The limit of a request's `model` too."""


class _Model(msgspec.Struct):
    id: str
    owned_by: str | None = None


class _ModelList(msgspec.Struct):
    data: list[_Model] | None


class _Props(msgspec.Struct):
    total_slots: int | None = None


class _Generation(msgspec.Struct):
    n_ctx: int | None = None


class _Settings(msgspec.Struct):
    default_generation_settings: _Generation = msgspec.field(default_factory=_Generation)


class _Modalities(msgspec.Struct):
    vision: bool = True
    audio: bool = True


class _Senses(msgspec.Struct):
    modalities: _Modalities = msgspec.field(default_factory=_Modalities)


def models_told(body: bytes) -> tuple[tuple[str, ...], bool]:
    """Return the names in a `/v1/models` response, and True if the server is llama.cpp's.

    Names that are too long are left out, and names after the first MAX_MODELS. Raises ProtocolViolation if
    the body is not such a response.
    """
    try:
        listed = msgspec.json.decode(body, type=_ModelList).data or ()
    except UNREADABLE as exc:
        raise ProtocolViolation("the model server's list of models was not understood") from exc
    names = (model.id for model in listed if len(model.id) <= MAX_NAME_CHARS)
    return tuple(islice(names, MAX_MODELS)), any(model.owned_by == "llamacpp" for model in listed)


def slots_told(body: bytes) -> int | None:
    """Return llama.cpp's number of slots (concurrent replies) in a `/props` response; None if it has none.

    A number that cannot be true counts as none: a worker announces it, and gateways refuse what is too large.
    """
    try:
        slots = msgspec.json.decode(body, type=_Props).total_slots
    except UNREADABLE:
        return None
    return slots if slots is not None and 0 < slots <= MAX_SLOTS else None


def context_told(body: bytes) -> int | None:
    """Return the tokens of one llama.cpp slot's context in a `/props` response; None if it has none."""
    try:
        tokens = msgspec.json.decode(body, type=_Settings).default_generation_settings.n_ctx
    except UNREADABLE:
        return None
    return token_count(tokens) or None


def accepts_told(body: bytes) -> frozenset[Kind]:
    """Return the kinds of content that llama.cpp's model accepts, by a `/props` response; else all kinds."""
    try:
        told = msgspec.json.decode(body, type=_Senses).modalities
    except UNREADABLE:
        return ALL_KINDS
    refused: set[Kind] = set()
    if not told.vision:
        refused.add("image")
    if not told.audio:
        refused.add("audio")
    return ALL_KINDS - refused
