"""The description of a model for clients of Ollama, `POST /api/show`."""

from pathlib import Path

import pytest

from gateway.contract.content import Kind
from gateway.contract.transport import Abilities
from tests.web.gateway_server import served
from transports.scripted import ScriptedTransport, tokens


@pytest.mark.parametrize("mode", ["sse", "auto"])
@pytest.mark.parametrize("kinds", [("image", "audio"), ("audio",)])
async def test_a_model_that_sees_has_the_capability(
    tmp_path: Path, mode: str, kinds: tuple[Kind, ...]
) -> None:
    """Clients send images only to such a model."""
    abilities = Abilities(models=lambda: ("tiny",), accepts=lambda: frozenset(kinds))
    sse = ScriptedTransport(lambda _: tokens("x"), abilities=abilities)
    async with served(tmp_path, lambda _: [], sse=sse, llm_comm_mode=mode) as gateway:
        told = await gateway.http.post("/api/show", json={"model": "tiny"})
    assert ("vision" in told.json()["capabilities"]) == ("image" in kinds)
    assert set(told.json()["capabilities"]) >= {"completion", "tools"}
