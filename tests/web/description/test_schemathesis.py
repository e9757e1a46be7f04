"""Requests drawn from the API's description, the fitting and the unfitting, at a real gateway: no answer is a
5xx, nor one that the description does not know."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from gateway.assembly import assemble
from gateway.settings import Settings
from gateway.web.app import api_of
from tests.web.gateway_program import gateway_program
from tests.web.key_holders import bearer
from transports.scripted import ScriptedTransport

ENDLESS = r"/api/chatbot/(sessions/\{session_id\}|rooms/\{room_id\})/events|/api/admin/live"
"""Streams without an end; their answers have tests of their own."""


LOOSE = (
    *("/v1/messages", "/v1/responses", "/api/chat/", "/api/generate", "/api/show", "/api/ag-ui"),
    *("/v1/completions", "/v1/embeddings", "/api/embed"),
)
"""Other APIs: the description has their bodies in outline, without rules between fields and headers. Their
cases are in tests/web/chat."""


def description() -> dict[str, Any]:
    transports = {"sse": ScriptedTransport(lambda _: [], name="sse")}
    gateway = assemble(Settings(_env_file=None, llm_comm_mode="sse"), transports).gateway
    told: dict[str, Any] = json.loads(json.dumps(api_of(gateway).openapi()))
    return told


schemathesis.openapi.format(
    "text-file-data-url",
    st.text(min_size=1).map(lambda text: f"data:text/plain;base64,{b64encode(text.encode()).decode()}"),
)
schemathesis.openapi.format(
    "file-in-base64", st.text(min_size=1).map(lambda text: b64encode(text.encode()).decode())
)
KEYS = "/api/admin/keys.*"
"""A drawn request would create the first key, or revoke that of the test."""

api = schemathesis.openapi.from_dict(description()).exclude(path_regex=ENDLESS).exclude(path_regex=KEYS)
api_with_keys = (
    schemathesis.openapi.from_dict(
        description(), config=SchemathesisConfig.from_dict({"phases": {"coverage": {"enabled": False}}})
    )
    .exclude(path_regex=ENDLESS)
    .exclude(path_regex=KEYS, method="DELETE")
)


@pytest.fixture(scope="module")
def open_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with gateway_program(tmp_path_factory.mktemp("open"), keyed=False) as (url, _):
        yield url


@pytest.fixture(scope="module")
def keyed_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with gateway_program(tmp_path_factory.mktemp("keyed"), keyed=True) as told:
        yield told


EXAMPLES = {"derandomize": True, "deadline": None, "suppress_health_check": list(HealthCheck)}


@api.parametrize()
@settings(max_examples=6, **EXAMPLES)  # type: ignore[arg-type]
def test_every_answer_is_as_described(case: schemathesis.Case[Any], open_house: str) -> None:
    check(case, open_house)


@api_with_keys.parametrize()
@settings(max_examples=5, **EXAMPLES)  # type: ignore[arg-type]
def test_with_keys_too(case: schemathesis.Case[Any], keyed_house: tuple[str, str]) -> None:
    url, key = keyed_house
    check(case, url, bearer(key))


def check(case: schemathesis.Case[Any], url: str, headers: dict[str, str] | None = None) -> None:
    # The tool forgets a header's pattern where it walks along the edges of what fits.
    event_id = dict(case.headers or {}).get("Last-Event-ID", "1-1")
    # A POST with a Last-Event-ID fits only behind one without.
    fits = bool(re.fullmatch("[0-9]+-[0-9]+", event_id)) and not (
        case.method == "POST" and "Last-Event-ID" in (case.headers or {})
    )
    # A time that has passed, or is no time, fits the description's text only.
    fits = fits and not (isinstance(case.body, dict) and isinstance(case.body.get("expires_at"), str))
    unfit: list[Any] = [] if fits else [positive_data_acceptance]
    if f"{case.operation.path}/".startswith(LOOSE):
        unfit = [positive_data_acceptance, negative_data_rejection]
    case.call_and_validate(base_url=url, headers=headers, timeout=60, excluded_checks=unfit)
