"""Events have all fields that OpenAI's package declares as required: its users read them unchecked."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

TRANSCRIPTS = Path(__file__).parent / "transcripts"
MODELS: dict[str, Any] = {"openai": ChatCompletionChunk, "responses": ResponseStreamEvent}


def events_in(transcript: Path) -> Iterator[Any]:
    for line in transcript.read_text().split("\n"):
        said = line.removeprefix("data: ")
        if said != line and said != "[DONE]":
            yield json.loads(said)


@pytest.mark.parametrize("dialect", MODELS)
def test_events_fit_the_packages_models(dialect: str) -> None:
    model = TypeAdapter(MODELS[dialect])
    seen = 0
    for transcript in sorted((TRANSCRIPTS / dialect).iterdir()):
        for event in events_in(transcript):
            if "error" not in event:
                model.validate_python(event)
                seen += 1
    assert seen > 10
