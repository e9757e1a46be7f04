"""The models endpoints as clients of Anthropic's API read them."""

from datetime import datetime
from pathlib import Path

from gateway.contract.transport import Abilities
from tests.web.gateway_server import served
from transports.scripted import ScriptedTransport, tokens

VERSION = {"anthropic-version": "2023-06-01"}


async def test_models_have_anthropics_shape_for_its_clients(tmp_path: Path) -> None:
    sse = ScriptedTransport(lambda _: tokens("x"), abilities=Abilities(models=lambda: ("tiny", "big")))
    async with served(tmp_path, lambda _: tokens("x"), sse=sse) as gateway:
        listed = (await gateway.http.get("/v1/models", headers=VERSION)).json()
        one = (await gateway.http.get("/v1/models/big", headers=VERSION)).json()
        openais = (await gateway.http.get("/v1/models")).json()
    assert (one["type"], one["id"], one["display_name"], one["lifecycle"]) == (
        "model",
        "big",
        "big",
        "active",
    )
    assert datetime.fromisoformat(one["created_at"]).tzinfo is not None
    assert listed["data"][1] == one
    assert (listed["has_more"], listed["first_id"], listed["last_id"]) == (False, "tiny", "big")
    assert set(openais) == {"object", "data"}
