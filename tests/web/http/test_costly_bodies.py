"""Bodies that cost much more than they weigh: refused before they are parsed, with a short answer."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.errors import BadRequest, Unprocessable
from gateway.web.http.bodies import MessageBody, parse
from gateway.web.http.json_shape import MAX_DIGITS, MAX_VALUES, without_strings
from tests.web.gateway_server import STREAM, Served, served
from transports.scripted import tokens

JSON = {"content-type": "application/json"}
MIB = 1024 * 1024
MAX_ANSWER_BYTES = 16 * 1024
COMPLETIONS = "/v1/chat/completions"
TEMPLATES = "/api/chatbot/templates"
ASK = b'{"content":"x","message":"x","name":"x","messages":[{"role":"user","content":"x"}],'
ESCAPES = b"\\u0001" * 20_000


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with served(tmp_path_factory.mktemp("gateway"), lambda _: tokens("x"), within_s=600) as gateway:
        yield gateway


def full(begin: bytes, item: bytes, end: bytes) -> bytes:
    """1 MiB of this item, again and again."""
    return begin + b",".join([item] * ((MIB - len(begin) - len(end)) // (len(item) + 1))) + end


COSTLY = [
    pytest.param(COMPLETIONS, full(b'{"messages":[', b"0", b"]}"), id="messages"),
    pytest.param(COMPLETIONS, full(b'{"messages":[', b"{}", b"]}"), id="empty messages"),
    pytest.param(COMPLETIONS, full(b'{"messages":[{"role":"user","content":[', b"0", b"]}]}"), id="parts"),
    pytest.param(
        COMPLETIONS, full(b'{"messages":[{"role":"user","content":[', b'{"type":"a"}', b"]}]}"), id="objects"
    ),
    pytest.param(COMPLETIONS, full(b'{"messages":[{"tool_calls":[', b"0", b"]}]}"), id="tool calls"),
    pytest.param(COMPLETIONS, full(ASK + b'"modalities":[', b"0", b"]}"), id="modalities"),
    pytest.param(COMPLETIONS, full(ASK + b'"other":[', b"[]", b"]}"), id="lists for the model server"),
    pytest.param(COMPLETIONS, full(ASK + b'"stop":[', b"0", b"]}"), id="stop of a completion"),
    pytest.param(STREAM, full(ASK + b'"stop":[', b"0", b"]}"), id="stop"),
    pytest.param(STREAM, full(ASK + b'"tools":[', b"0", b"]}"), id="tools"),
    pytest.param(STREAM, full(ASK + b'"options":{"a":[', b"[]", b"]}}"), id="lists in options"),
    pytest.param(STREAM, full(ASK + b'"ignored":[', b"[]", b"]}"), id="lists in an ignored field"),
    pytest.param(STREAM, full(ASK + b'"ignored":[', b'""', b"]}"), id="strings in an ignored field"),
    pytest.param(STREAM, full(ASK, b'"a":0', b"}"), id="the same field again and again"),
    pytest.param(STREAM, full(ASK + b'"b":[', b'"\\""', b"]}"), id="escaped quotes"),
    pytest.param(STREAM, full(ASK + b'"b":[', b"9" * (MAX_DIGITS + 1), b"]}"), id="long numbers"),
    pytest.param(STREAM, ASK + b'"b":' + b"9" * 100_000 + b"}", id="one number"),
    pytest.param(STREAM, ASK + b'"b":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="depth"),
    pytest.param(TEMPLATES, full(ASK + b'"tools":[', b"0", b"]}"), id="a template's tools"),
    pytest.param(TEMPLATES, full(ASK + b'"stop":[', b"0", b"]}"), id="a template's stop"),
    pytest.param("/api/chat/stream", full(ASK + b'"conversation_id":[', b"[]", b"]}"), id="conversation"),
    pytest.param(
        COMPLETIONS,
        b'{"messages":[{"role":"user","content":[{"type":"%b"}]}]}' % ESCAPES,
        id="a repeated word",
    ),
    pytest.param(COMPLETIONS, b'{"messages":[{"role":"%b","content":"x"}]}' % ESCAPES, id="a role"),
]


@pytest.mark.parametrize(("path", "body"), COSTLY)
@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "k"}], ids=["", "with a key"])
async def test_a_costly_body_is_refused_in_few_words(
    gateway: Served, path: str, body: bytes, headers: dict[str, str]
) -> None:
    asked = len(gateway.transport.seen_requests)
    response = await gateway.http.post(path, content=body, headers={**JSON, **headers})
    assert response.status_code in {400, 422}
    assert len(response.content) <= MAX_ANSWER_BYTES
    assert len(gateway.transport.seen_requests) == asked


@pytest.mark.parametrize("path", ["/v1/" + "%01" * 20_000, "/v1/models/" + "a" * 60_000])
async def test_a_long_address_is_not_repeated(gateway: Served, path: str) -> None:
    response = await gateway.http.get(path)
    assert response.status_code == 404
    assert len(response.content) <= MAX_ANSWER_BYTES


@pytest.mark.parametrize(
    ("field", "longest", "item"),
    [
        ("tools", 512, {}),
        ("messages", 2048, {"role": "user", "content": "x"}),
    ],
)
async def test_a_list_has_a_longest_length_which_the_description_tells(
    gateway: Served, field: str, longest: int, item: Any
) -> None:
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}]}
    statuses = []
    for length in (longest, longest + 1):
        response = await gateway.http.post(COMPLETIONS, json={**body, field: [item] * length})
        statuses.append(response.status_code)
    assert statuses == [200, 400]
    told = json.dumps((await gateway.http.get("/openapi.json")).json()["components"]["schemas"])
    assert f'"maxItems": {longest}' in told


async def test_of_a_list_that_is_wrong_the_first_problem_is_told(gateway: Served) -> None:
    response = await gateway.http.post(STREAM, json={"content": "x", "tools": [0] * 500})
    assert [error["field"] for error in response.json()["errors"]] == ["tools.0"]


def test_of_many_problems_ten_are_told() -> None:
    refusal = Unprocessable("x" * 10_000, {f"{number}" * 200: "y" * 1000 for number in range(20)})
    assert len(refusal.fields) == 10
    assert len(str(refusal)) <= 800


@pytest.mark.parametrize(
    "content",
    ["1,2,3;" * 50_000, '["{' * 50_000, "\\" * 50_000, '\\"' * 30_000 + ",", "9" * 100_000],
    ids=["commas", "brackets", "backslashes", "quotes", "digits"],
)
def test_a_text_may_hold_anything_in_any_number(content: str) -> None:
    assert parse(json.dumps({"content": content}).encode(), MessageBody).content == content


def test_as_many_values_as_allowed_are_read() -> None:
    body = {"content": "x", "ignored": [0] * (MAX_VALUES - 4)}
    assert parse(json.dumps(body).encode(), MessageBody).content == "x"


@settings(deadline=None, database=None)
@given(st.lists(st.text(st.sampled_from('\\",[{a9/')), max_size=20), st.booleans())
def test_strings_are_cut_out_however_they_are_escaped(texts: list[str], slashes_too: bool) -> None:
    body = json.dumps(texts)
    if slashes_too:
        body = body.replace("/", "\\/")
    assert without_strings(body.encode()) == b"[" + b", ".join([b""] * len(texts)) + b"]"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b" " * 2 * MIB, "bytes outside of its strings"),
        (b'"' * 2 * MIB, "strings"),
        (b'{"content":"x","a":[' + b"9" * 2 * MIB + b"]}", "bytes outside of its strings"),
        (b'{"content":"%b","a":[%b]}' % (b"x" * MIB, b"0," * MAX_VALUES + b"0"), "JSON values"),
    ],
    ids=["spaces", "quotes", "digits", "values"],
)
def test_a_large_body_is_large_for_its_strings_only(body: bytes, problem: str) -> None:
    with pytest.raises(Unprocessable, match=problem):
        parse(body, MessageBody)


def test_in_a_large_body_too_a_number_must_be_one() -> None:
    with pytest.raises(BadRequest, match="1e999"):
        parse(b'{"content":"%b","a":1e999}' % (b"NaN 1e999 " * MIB), MessageBody)
    assert parse(b'{"content":"%b"}' % (b"NaN 1e999 " * MIB), MessageBody).content.startswith("NaN")
