"""Headers, tickets and queries byte by byte: whatever comes, the answer is never a 5xx and never none."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.bare_http import ask_bare
from tests.web.gateway_server import STREAM, Served, served
from tests.web.key_holders import bearer, make_key
from transports.scripted import tokens

CORS = ("https://app.example",)
MANY = settings(
    max_examples=20, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@pytest.fixture(scope="module", params=["open", "keyed"])
async def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("gateway")
    rules: dict[str, Any] = {"cors_origins": CORS, "body_timeout_s": 0.05, "rate_per_minute": 1_000_000}
    async with served(folder, lambda _: tokens("x"), within_s=600, **rules) as gateway:
        await gateway.http.post("/api/chatbot/sessions")
        if request.param == "keyed":
            gateway.http.headers.update(bearer(await make_key(gateway, "anna")))
        yield gateway


@pytest.fixture(scope="module")
async def resume_url(gateway: Served) -> str:
    answer = await gateway.http.post(STREAM, json={"content": "x", "resumable": True})
    return answer.headers["sluice-resume-url"]


NAMES = [
    *(
        "Origin",
        "Host",
        "Authorization",
        "X-API-Key",
        "Cookie",
        "Last-Event-ID",
        "Idempotency-Key",
        "traceparent",
    ),
    *(
        "Content-Length",
        "Transfer-Encoding",
        "Content-Type",
        "Accept",
        "Content-Encoding",
        "Connection",
        "Expect",
    ),
    *(
        "Sluice-Session",
        "Sluice-Resumable",
        "X-Forwarded-For",
        "X-Forwarded-Prefix",
        "X-Forwarded-Proto",
        "Range",
    ),
    *("Access-Control-Request-Method", "Access-Control-Request-Headers", "Upgrade", "TE", "Via", "Forwarded"),
]
RUBBISH = [
    *(
        b"",
        b" ",
        b"http://[",
        b"http://]",
        b"http://[::1",
        b"[",
        b"null",
        b"*",
        b"//",
        b"http://",
        b"\xff\xfe",
        b"\xc3",
    ),
    *(
        "http://ä".encode(),
        "٣".encode(),
        b"Bearer",
        b"Bearer ",
        b"bearer \xff",
        b"Basic Og==",
        b"sk-",
        b"-1",
        b"+5",
    ),
    *(
        b"5, 5",
        b"1e9",
        b"0x10",
        b"9" * 400,
        b"99-99",
        b"1-",
        b"-",
        b"1-1-1",
        b"chunked",
        b"gzip, chunked",
        b"gzip",
    ),
    *(
        b"text/event-stream;q=x",
        b"a/b;" * 50,
        b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-00",
        b"sluice_conversation=",
    ),
    *(
        b"a=b; sluice_conversation=" + b"A" * 22 + b";;",
        b"\x1b[31m",
        b"\x7f",
        b"\x00",
        b"a\tb",
        b"https://app.example",
    ),
    *(b"100-continue", b"websocket", b"h2c", b"1", b"POST", b"PATCH", b"x-y, \xff, ,"),
]
header_values = st.sampled_from(RUBBISH) | st.binary(max_size=40).map(
    lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"")
)
REQUESTS = [
    ("GET", "/", b""),
    ("GET", "/api/chatbot/sessions", b""),
    ("GET", "/api/metrics", b""),
    ("GET", f"{STREAM}/x", b""),
    ("GET", "/api/chatbot/sessions/1/events", b""),
    ("GET", "/v1/models", b""),
    ("POST", STREAM, b'{"content":"x"}'),
    ("POST", "/api/chat/stream", b'{"message":"x"}'),
    ("POST", "/api/v1/chat/unified/stream", b'{"message":"x"}'),
    ("POST", "/v1/chat/completions", b'{"messages":[{"role":"user","content":"x"}]}'),
    ("POST", "/api/chatbot/sessions", b"{}"),
    ("OPTIONS", STREAM, b""),
    ("DELETE", f"{STREAM}/x", b""),
]


async def status_of(
    gateway: Served, method: str, target: bytes, body: bytes, headers: list[tuple[str, bytes]]
) -> int:
    """Of the answer to this request, which has a default for each header that it needs."""
    if body:
        # These answers are read to their end, which comes when the connection closes.
        headers = [(name, value) for name, value in headers if name != "Connection"]
    usual = {"Host": b"localhost", "Connection": b"close"}
    if body:
        usual |= {"Content-Type": b"application/json", "Content-Length": b"%d" % len(body)}
    if "authorization" in gateway.http.headers:
        usual["Authorization"] = gateway.http.headers["authorization"].encode()
    given_names = {name for name, _ in headers}
    lines = [(name, value) for name, value in usual.items() if name not in given_names] + headers
    head = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in lines)
    request = method.encode() + b" " + target + b" HTTP/1.1\r\n" + head + b"\r\n" + body
    return (await ask_bare(gateway.url, request, head_only=not body)).status


def is_no_failure(status: int, names: list[str]) -> bool:
    return 100 <= status < 500 or (status == 501 and "Transfer-Encoding" in names)


@MANY
@given(
    request=st.sampled_from(REQUESTS),
    headers=st.lists(st.tuples(st.sampled_from(NAMES), header_values), min_size=1, max_size=3),
)
async def test_no_header_is_a_5xx(
    gateway: Served, request: tuple[str, str, bytes], headers: list[tuple[str, bytes]]
) -> None:
    method, path, body = request
    status = await status_of(gateway, method, path.encode(), body, headers)
    assert is_no_failure(status, [name for name, _ in headers])


@pytest.mark.parametrize("name", NAMES)
async def test_no_known_rubbish_in_a_header_is_a_5xx(gateway: Served, name: str) -> None:
    for method, path, body in (REQUESTS[2], REQUESTS[6], REQUESTS[11]):
        for value in RUBBISH:
            status = await status_of(gateway, method, path.encode(), body, [(name, value)])
            assert is_no_failure(status, [name]), (method, value)


segments = st.binary(max_size=12).map(quote_from_bytes).map(str.encode) | st.sampled_from(
    [
        b"%",
        b"%zz",
        b"%00",
        b"%ff",
        b"%ED%A0%80",
        b"..",
        b"%2F",
        b"%E2%80%A8",
        b"1.5",
        b"",
        b"\xff",
        "ä".encode(),
    ]
)


@MANY
@given(data=st.data(), tail=segments)
async def test_no_cut_of_a_resume_url_is_a_5xx(
    gateway: Served, resume_url: str, data: st.DataObject, tail: bytes
) -> None:
    # The expiry's dot may stand in the path as well as in the ticket.
    stream, ticket = resume_url.removeprefix(f"{STREAM}/").split("?ticket=")
    sealed = f"{stream}.{ticket}"
    cut, end = data.draw(st.integers(0, len(sealed))), data.draw(st.integers(0, len(sealed)))
    target = f"{STREAM}/{sealed[:cut]}?ticket={sealed[cut:].removeprefix('.')[:end]}".encode() + tail
    for path in (target, target + b"&last_event_id=" + tail, target.replace(b"ticket=", b"format=")):
        assert 200 <= await status_of(gateway, "GET", path, b"", []) < 500


@MANY
@given(
    path=st.sampled_from(
        [f"{STREAM}/", "/api/chatbot/sessions/", "/v1/models/", "/docs/", "/api/chatbot/templates/"]
    ),
    segment=segments,
    name=st.sampled_from(
        [b"ticket", b"last_event_id", b"format", b"from", b"to", b"q", b"limit", b"after", b"before"]
    ),
    value=segments,
)
async def test_no_path_or_query_is_a_5xx(
    gateway: Served, path: str, segment: bytes, name: bytes, value: bytes
) -> None:
    for end in (b"", b"/events", b"/messages", b"/export"):
        target = path.encode() + segment + end + b"?" + name + b"=" + value
        for method in ("GET", "POST"):
            assert 200 <= await status_of(gateway, method, target, b"", []) < 500
