"""Random bodies at every endpoint: never a 5xx, and errors always in the frontend's shape."""

import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.embedding_model import embedding_model
from tests.web.error_shapes import is_anthropics, is_frontends_problem, is_ollamas, is_openais, is_problem
from tests.web.gateway_server import STREAM, Served, served
from transports.scripted import tokens

JSON = {"content-type": "application/json"}
FIELDS = [
    *("content", "message", "user_message", "user_id", "conversation_id", "session_id", "messages", "model"),
    *(
        "stream",
        "role",
        "temperature",
        "max_tokens",
        "stop",
        "n",
        "tools",
        "options",
        "mirror",
        "template_id",
    ),
    *("input", "prompt", "dimensions", "encoding_format", "system", "thread"),
    *("system_prompt", "resumable", "stream_options", "response_format", "seed", "top_p", "functions"),
]

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["Hi", "user", "system", "text", "\0", "\ud800", "\u2028", "-1", "1e999"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*FIELDS, "type", "text"]) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(FIELDS), values, max_size=8)
conversations = objects.flatmap(
    lambda body: st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["system", "user", "assistant", "tool", "x"]), "content": values}
        ),
        max_size=3,
    ).map(lambda messages: {**body, "messages": messages})
)


def as_bytes(value: object) -> bytes:
    return json.dumps(value).encode()


bodies = (
    st.binary(max_size=60)
    | values.map(as_bytes)
    | objects.map(as_bytes)
    | conversations.map(as_bytes)
    | objects.map(as_bytes).flatmap(lambda whole: st.integers(0, len(whole)).map(lambda cut: whole[:cut]))
)


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    model = embedding_model(lambda _: tokens("x"))
    folder = tmp_path_factory.mktemp("gateway")
    async with served(folder, lambda _: [], sse=model, within_s=600) as gateway:
        yield gateway


SHAPES: dict[str, Callable[[httpx.Response], bool]] = {
    STREAM: is_problem,
    "/api/chatbot/messages": is_problem,
    "/api/chat/stream": is_frontends_problem,
    "/api/v1/chat/unified/stream": is_frontends_problem,
    "/v1/chat/completions": is_openais,
    "/v1/completions": is_openais,
    "/v1/embeddings": is_openais,
    "/api/embed": is_ollamas,
    "/v1/messages/count_tokens": is_anthropics,
    "/api/v1/inference/stream": is_openais,
    "/api/chatbot/sessions": is_problem,
    "/api/chatbot/templates": is_problem,
}


@pytest.mark.parametrize("path", SHAPES)
@settings(
    max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
@given(body=bodies)
async def test_a_body_that_nobody_meant_has_its_frontends_answer(
    gateway: Served, path: str, body: bytes
) -> None:
    response = await gateway.http.post(path, content=body, headers=JSON)
    if response.status_code >= 400:
        assert response.status_code < 500, (body, response.text)
        assert SHAPES[path](response), (body, response.text)
    else:
        assert response.headers["content-type"].startswith(("text/event-stream", "application/json"))


PATHS = [STREAM, "/api/chatbot/sessions", "/api/chatbot/usage", f"{STREAM}/x", "/v1/models/x"]
HEADERS = ["last-event-id", "idempotency-key", "sluice-session", "cookie", "origin", "authorization"]


@settings(
    max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
@given(
    path=st.sampled_from(PATHS),
    name=st.sampled_from(HEADERS),
    query=st.text(st.characters(codec="latin-1"), max_size=30),
    # Clients send no other characters of Latin-1.
    value=st.text(
        st.characters(min_codepoint=0x20, max_codepoint=0xFF, categories=["L", "N", "P"]), max_size=30
    ),
)
async def test_queries_and_headers_that_nobody_meant_are_no_5xx(
    gateway: Served, path: str, name: str, query: str, value: str
) -> None:
    response = await gateway.http.get(
        path,
        params={"q": query, "format": query, "from": query},
        headers=[(name.encode(), value.encode("latin-1"))],
    )
    assert response.status_code < 500, response.text
