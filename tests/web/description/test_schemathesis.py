"""Requests drawn from the API's description, the fitting and the unfitting, at a real gateway: no answer is a
5xx, nor one that the description does not know."""

import functools
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.generation.hypothesis.builder import HypothesisTestConfig, HypothesisTestMode, create_test
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from gateway.assembly import assemble
from gateway.settings import Settings
from gateway.web.app import api_of
from gateway.web.endpoints.table import ENDPOINTS
from tests.web.gateway_program import gateway_program
from tests.web.key_holders import bearer
from transports.scripted import ScriptedTransport

Case = schemathesis.Case[Any]
Operation = schemathesis.schemas.APIOperation[Any, Any, Any, Any]

ENDLESS = r"/api/chatbot/(sessions/\{session_id\}|rooms/\{room_id\})/events|/api/admin/live"
"""Streams without an end; their answers have tests of their own."""


LOOSE = (
    *("/v1/messages", "/v1/responses", "/api/chat/", "/api/generate", "/api/show", "/api/ag-ui"),
    *("/v1/completions", "/v1/embeddings", "/api/embed"),
)
"""Other APIs: the description has their bodies in outline, without rules between fields and headers. Their
cases are in tests/web/chat."""


@functools.cache
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

OPERATIONS = [
    f"{endpoint.method} {endpoint.path.replace(':path}', '}')}"
    for endpoint in ENDPOINTS
    if endpoint.method != "WEBSOCKET" and not re.search(ENDLESS, endpoint.path)
]
"""Those of the table: only the process that runs a test reads the description."""


@functools.cache
def described(*, corners: bool) -> dict[str, Operation]:
    """Return the operations by method and path. corners: whether their tests walk along the edges of what
    fits, too."""
    config = SchemathesisConfig.from_dict({"phases": {"coverage": {"enabled": corners}}})
    api = schemathesis.openapi.from_dict(description(), config=config)
    found = [result.ok() for result in api.get_all_operations() if isinstance(result, Ok)]
    return {operation.label: operation for operation in found}


@pytest.fixture(scope="module")
def open_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with gateway_program(tmp_path_factory.mktemp("open"), keyed=False) as (url, _):
        yield url


@pytest.fixture(scope="module")
def keyed_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with gateway_program(tmp_path_factory.mktemp("keyed"), keyed=True) as told:
        yield told


@pytest.mark.parametrize("label", [label for label in OPERATIONS if not re.search(KEYS, label)])
def test_every_answer_is_as_described(label: str, open_house: str) -> None:
    with session_here() as session:
        run(described(corners=True)[label], 6, functools.partial(check, url=open_house, session=session))


@pytest.mark.parametrize("label", [label for label in OPERATIONS if not re.search(f"DELETE {KEYS}", label)])
def test_with_keys_too(label: str, keyed_house: tuple[str, str]) -> None:
    url, key = keyed_house
    with session_here() as session:
        test = functools.partial(check, url=url, session=session, headers=bearer(key))
        run(described(corners=False)[label], 5, test)


def session_here() -> requests.Session:
    """Return a session that does not look for a proxy in the environment at each of thousands of requests."""
    session = requests.Session()
    session.trust_env = False
    return session


def run(operation: Operation, examples: int, test: Callable[[Case], None]) -> None:
    """Do what schemathesis's own `parametrize` does, but when the test runs.

    It would draw the cases of all operations when tests are collected, in each of xdist's workers.
    """
    modes = [HypothesisTestMode.EXAMPLES, HypothesisTestMode.FUZZING]
    if operation.schema.config.phases.coverage.enabled:
        modes.append(HypothesisTestMode.COVERAGE)

    def test_case(case: Case) -> None:
        test(case)

    given = HypothesisTestConfig(
        modes=modes,
        settings=settings(
            max_examples=examples, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
        ),
        project=operation.schema.config,
    )
    create_test(operation=operation, test_func=test_case, config=given)()


def check(case: Case, url: str, session: requests.Session, headers: dict[str, str] | None = None) -> None:
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
    case.call_and_validate(base_url=url, session=session, headers=headers, timeout=60, excluded_checks=unfit)
