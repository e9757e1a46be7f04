"""Every dialect with its order checker, so that one suite can be run against all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from gateway.contract.dialect import Dialect
from gateway.dialects.ag_ui import AgUi
from gateway.dialects.ai_sdk import AiSdk
from gateway.dialects.anthropic import Anthropic
from gateway.dialects.completions import Completions
from gateway.dialects.ollama import Ollama
from gateway.dialects.plain import Plain
from gateway.dialects.registry import LAM, LUNAR, OPENAI, PRINTER, TEXT, WORDS
from gateway.dialects.responses import Responses
from tests.dialects.order import (
    ag_ui,
    ai_sdk,
    anthropic,
    completions,
    lam,
    lunar,
    ollama,
    openai,
    plain,
    printer,
    responses,
    words,
)
from tests.dialects.order.frames import End, Heard


@dataclass(frozen=True)
class DialectRig:
    """hear: understands a whole stream, and fails on anything that is not the dialect's.

    tells: the events it has frames for, beside text. ending: how it tells each end, None if it just ends.
    """

    dialect: Dialect
    hear: Callable[[bytes], Heard]
    tells: frozenset[Literal["reasoning", "tools", "progress"]]
    complete: End | None
    cancelled: End | None
    error: End | None = "error"

    @property
    def name(self) -> str:
        return self.dialect.name


NOW = datetime(2026, 9, 21, tzinfo=UTC)
_ALL = frozenset[Literal["reasoning", "tools", "progress"]]({"reasoning", "tools", "progress"})
_SAID = frozenset[Literal["reasoning", "tools", "progress"]]({"reasoning", "tools"})

DIALECT_RIGS = [
    DialectRig(LAM, lam.hear, _ALL, "complete", "cancelled"),
    DialectRig(LUNAR, lunar.hear, frozenset({"tools"}), "complete", "complete"),
    DialectRig(PRINTER, printer.hear, frozenset(), "complete", "cancelled"),
    DialectRig(WORDS, words.hear, frozenset(), None, None),
    DialectRig(TEXT, words.hear_text, frozenset(), None, None),
    DialectRig(OPENAI, openai.hear, _SAID, "complete", "complete"),
    DialectRig(AiSdk(), ai_sdk.hear, _ALL, "complete", "cancelled"),
    DialectRig(Anthropic(), anthropic.hear, _SAID, "complete", "complete"),
    DialectRig(Completions(), completions.hear, frozenset(), "complete", "complete"),
    DialectRig(Responses(created_at=0), responses.hear, _SAID, "complete", "complete"),
    DialectRig(Ollama(now=lambda: NOW), ollama.hear, _SAID, "complete", "complete"),
    DialectRig(AgUi(), ag_ui.hear, _ALL, "complete", "cancelled"),
    DialectRig(Plain(), plain.hear, frozenset(), None, None, error=None),
]

RESUMING_RIGS = [rig for rig in DIALECT_RIGS if rig.dialect.bears_ids]
"""Those that go on behind an event id; a reader of the others hears the reply from its beginning."""
