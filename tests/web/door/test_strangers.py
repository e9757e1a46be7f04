"""A user can neither use, change nor detect anything that belongs to another user, at any endpoint.

Each case sends Ben's request with the name of a thing of Anna's, and again with an unused name of the same
shape. The responses must be equal to the byte, except for those names. An endpoint without a case fails.
"""

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.contract.content import text_of
from gateway.contract.events import Delta, Done
from gateway.contract.keys import ALL_PERMISSIONS
from gateway.contract.requests import ChatRequest
from gateway.issuer.token_rules import suffix_of
from gateway.web.endpoints.table import ENDPOINTS
from tests.issuer.issuer_server import IssuerServer
from tests.plain_http import plain_http
from tests.web.event_source import kinds
from tests.web.gateway_server import STREAM, Served, served, unified_events
from tests.web.key_holders import bearer, keys_of, make_key
from transports.scripted import Step

SECRET = "heron"
"""A word in Anna's data that must never reach Ben."""

API = "/api/chatbot"
SESSION = f"{API}/sessions/{{id}}"
MESSAGE = f"{API}/messages/{{id}}"
ROOMS = f"{API}/rooms"
TEMPLATE = f"{API}/templates/{{id}}"

Names = dict[str, str]
"""The name of one thing of each kind, by kind."""

UNKNOWN: Names = {
    "session": "987654",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "session key": "anna-000000",
    "live": "0" * 32,
    "ended": "1" * 32,
    "response": f"resp_{'1' * 32}",
    "live response": f"resp_{'0' * 32}",
    "message": f"msg_{'1' * 32}",
    "device": "nobodys-device",
    "template": "987654",
    "stored message": "987654",
    "attachment": "00000000-0000-4000-8000-000000000000",
    "claim": "another-key",
    "cookie": "A" * 22,
    "words user": "nobody",
}


@dataclass(frozen=True)
class Case:
    """One endpoint that names a thing.

    thing: the kind of Anna's thing; its name replaces `{}` in the path, the query, a header or the body.
    hidden: the response is a 404; otherwise it has nothing to do with Anna's data.
    """

    thing: str
    body: dict[str, Any] | None = None
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    hidden: bool = True


@dataclass(frozen=True)
class OwnOnly:
    """An endpoint that names nothing: it responds with Ben's own or with public data."""

    body: dict[str, Any] | None = None


COMPLETION = {"messages": [{"role": "user", "content": "Hi"}]}
COMPLETED: list[Case | OwnOnly] = [
    Case("session", COMPLETION, headers={"sluice-session": "{}"}),
    Case("session key", COMPLETION, headers={"sluice-session": "{}"}),
    OwnOnly(COMPLETION),
]
SAYS = {"content": "Hi"}
ASKED: list[Case | OwnOnly] = [
    Case("session", {**SAYS, "session_id": "{}"}),
    Case("attachment", {"content": [{"type": "attachment", "attachment": {"id": "{}"}}]}),
    Case("device", {**SAYS, "mirror": "{}"}),
    Case("template", {**SAYS, "template_id": "{}"}),
    Case("claim", SAYS, headers={"idempotency-key": "{}"}, hidden=False),
    OwnOnly(SAYS),
]
STREAMS: list[Case | OwnOnly] = [Case("live"), Case("ended")]
RESUMES: list[Case | OwnOnly] = [
    *STREAMS,
    Case("live", headers={"last-event-id": "1-0"}),
    Case("ended", query={"last_event_id": "1-0"}),
    Case("live", query={"format": "words"}),
]

RESPONSE = {"input": "Hi"}
OF_RESPONSES: list[Case | OwnOnly] = [
    Case("response", query={"stream": "true"}),
    Case("response"),
    Case("live response"),
]
ANTHROPIC = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 10}
CONTINUED = {"type": "continue", "previous_message_id": "{}"}
OLLAMA = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "stream": False}
AG_UI = {"threadId": "{}", "runId": "r", "messages": [{"id": "1", "role": "user", "content": "Hi"}]}

CASES: dict[tuple[str, str], Sequence[Case | OwnOnly]] = {
    ("POST", STREAM): ASKED,
    ("POST", API + STREAM): ASKED,
    ("POST", f"{API}/messages"): ASKED,
    ("POST", "/api/chat/stream"): [
        Case("uuid", {"user_message": "Hi", "conversation_id": "{}"}),
        OwnOnly({"user_message": "Hi"}),
        Case("cookie", {"message": "Hi"}, headers={"cookie": "sluice_conversation={}"}, hidden=False),
    ],
    ("POST", "/api/v1/chat/unified/stream"): [
        Case("words user", {"message": "Hi", "user_id": "{}"}, hidden=False),
        OwnOnly({"message": "Hi", "user_id": "anna"}),
    ],
    ("POST", "/v1/chat/completions"): COMPLETED,
    ("POST", "/api/v1/inference/stream"): COMPLETED,
    ("POST", "/v1/responses"): [
        Case("session key", RESPONSE, headers={"sluice-session": "{}"}),
        Case("response", {**RESPONSE, "previous_response_id": "{}"}),
        Case("ended", {"input": [{"type": "item_reference", "id": "msg_{}_0"}]}),
        Case("words user", {**RESPONSE, "conversation": "{}"}, hidden=False),
        OwnOnly(RESPONSE),
    ],
    ("GET", "/v1/responses/{id}"): OF_RESPONSES,
    ("DELETE", "/v1/responses/{id}"): OF_RESPONSES,
    ("POST", "/v1/responses/{id}/cancel"): OF_RESPONSES,
    ("GET", "/v1/responses/{id}/input_items"): OF_RESPONSES,
    ("POST", "/v1/messages"): [
        Case("session key", ANTHROPIC, headers={"sluice-session": "{}"}),
        Case("message", {**ANTHROPIC, "thread": CONTINUED}),
        OwnOnly(ANTHROPIC),
        OwnOnly({**ANTHROPIC, "thread": {"type": "create"}}),
    ],
    ("POST", "/v1/messages/count_tokens"): [
        Case("message", {**ANTHROPIC, "thread": CONTINUED}),
        OwnOnly(ANTHROPIC),
    ],
    ("POST", "/v1/completions"): [
        Case("session key", {"prompt": "Hi"}, headers={"sluice-session": "{}"}),
        OwnOnly({"prompt": "Hi"}),
    ],
    ("POST", "/v1/embeddings"): [OwnOnly({"input": "Hi"})],
    ("POST", "/api/embed"): [OwnOnly({"input": "Hi"})],
    ("POST", "/api/embeddings"): [OwnOnly({"prompt": "Hi"})],
    ("POST", "/api/chat"): [Case("uuid", OLLAMA, headers={"sluice-session": "{}"}), OwnOnly(OLLAMA)],
    ("POST", "/api/generate"): [
        Case("uuid", {"prompt": "Hi"}, headers={"sluice-session": "{}"}),
        OwnOnly({"prompt": "Hi"}),
    ],
    ("POST", "/api/ag-ui"): [Case("words user", AG_UI, hidden=False)],
    ("GET", "/api/chat/{id}/stream"): [Case("words user", hidden=False)],
    ("GET", "/api/chat/{id}/messages"): [Case("words user", hidden=False)],
    ("POST", "/api/chat/{id}/stop"): [Case("words user", {}, hidden=False)],
    ("GET", "/api/tags"): [OwnOnly()],
    ("GET", "/api/ps"): [OwnOnly()],
    ("GET", "/api/version"): [OwnOnly()],
    ("POST", "/api/show"): [Case("session key", {"model": "{}"})],
    ("GET", "/v1/models"): [OwnOnly()],
    ("GET", "/v1/models/{id}"): [Case("session key")],
    ("POST", f"{MESSAGE}/regenerate"): [
        Case("stored message", {}),
        Case("stored message", SAYS),
    ],
    ("POST", f"{MESSAGE}/continue"): [Case("stored message", {})],
    ("POST", f"{MESSAGE}/choose"): [Case("stored message")],
    ("GET", f"{STREAM}/{{id}}"): RESUMES,
    ("DELETE", f"{STREAM}/{{id}}"): STREAMS,
    ("POST", f"{STREAM}/{{id}}/stop"): STREAMS,
    ("GET", f"{API}{STREAM}/{{id}}"): RESUMES,
    ("DELETE", f"{API}{STREAM}/{{id}}"): STREAMS,
    ("POST", f"{API}{STREAM}/{{id}}/stop"): STREAMS,
    ("GET", f"{API}/sessions"): [OwnOnly(), Case("session", query={"before": "{}"})],
    ("POST", f"{API}/sessions"): [OwnOnly({})],
    ("GET", SESSION): [Case("session")],
    ("PATCH", SESSION): [Case("session", {"title": "Ben's now"})],
    ("DELETE", SESSION): [Case("session")],
    ("GET", f"{SESSION}/messages"): [Case("session")],
    ("GET", f"{SESSION}/export"): [Case("session", query={"format": format}) for format in ("json", "md")],
    ("GET", f"{SESSION}/events"): [Case("session")],
    ("POST", f"{SESSION}/ticket"): [Case("session")],
    ("POST", "/ws/ticket"): [OwnOnly()],
    ("GET", ROOMS): [OwnOnly()],
    ("POST", ROOMS): [OwnOnly({}), Case("device", {"members": [{"device": "{}"}]})],
    ("POST", f"{ROOMS}/join"): [Case("session", {"ticket": "{}.member.forged"}, hidden=False)],
    ("GET", f"{ROOMS}/{{id}}"): [Case("session"), Case("session key")],
    ("GET", f"{ROOMS}/{{id}}/events"): [
        Case("session"),
        Case("session key"),
        Case("session key", headers={"last-event-id": "0"}),
        Case("session key", headers={"last-event-id": "no number"}),
        Case("session key", query={"ticket": "forged"}, hidden=False),
    ],
    ("POST", f"{ROOMS}/{{id}}/members"): [Case("session", {"user": "ben"})],
    ("DELETE", f"{ROOMS}/{{id}}/members"): [Case("session", query={"user": "ben"})],
    ("POST", f"{ROOMS}/{{id}}/invitations"): [Case("session", {"role": "member"})],
    ("GET", f"{API}/attachments"): [OwnOnly()],
    ("POST", f"{API}/attachments"): [OwnOnly({"name": "a.txt", "data": "SGVsbG8="})],
    ("GET", f"{API}/attachments/{{id}}"): [Case("attachment")],
    ("DELETE", f"{API}/attachments/{{id}}"): [Case("attachment")],
    ("GET", f"{API}/templates"): [OwnOnly()],
    ("POST", f"{API}/templates"): [OwnOnly({"name": "Ben's"})],
    ("GET", TEMPLATE): [Case("template")],
    ("PUT", TEMPLATE): [Case("template", {"name": "Ben's now"})],
    ("DELETE", TEMPLATE): [Case("template")],
    ("POST", f"{TEMPLATE}/test"): [Case("template", SAYS)],
    ("GET", f"{API}/workers"): [OwnOnly()],
    ("GET", f"{API}/usage"): [OwnOnly()],
    ("GET", "/api/metrics"): [OwnOnly()],
    ("GET", "/metrics"): [OwnOnly()],
    ("GET", "/health"): [OwnOnly()],
    ("GET", "/ready"): [OwnOnly()],
}

THERE = {
    (endpoint.method, re.sub(r"{[^}]+}", "{id}", endpoint.path))
    for endpoint in ENDPOINTS
    if endpoint.tag not in {"pages", "administration"} and endpoint.method != "WEBSOCKET"
}
"""Every endpoint but the static pages, administration, which is for all users' things, and the WebSocket,
which has tests of its own; with `{id}` for every name in a path."""


@asynccontextmanager
async def annas_house(
    tmp_path: Path, issuer: IssuerServer | None = None
) -> AsyncIterator[tuple[Served, Names, str]]:
    """Run a gateway with Anna's things, one of them a reply in progress, and give Ben's key.

    issuer: gives both of them tokens in place of keys.
    """
    held = asyncio.Event()

    def script(request: ChatRequest) -> list[Step]:
        if SECRET in request.turns[-1].content and "live" in request.turns[-1].content:
            return [[Delta(f"{SECRET} ")], held.wait, [Delta("still here")], [Done("stop")]]
        # The model repeats its input, so that Anna's history would be visible in a reply to Ben.
        return [[Delta(" / ".join(text_of(turn.content) for turn in request.turns))], [Done("stop")]]

    settings = {} if issuer is None else issuer.settings()
    async with served(tmp_path, script, within_s=60, rate_per_minute=10_000, **settings) as gateway:
        if issuer is None:
            key, user_id = await make_key(gateway, "anna"), "anna"
            bens = await make_key(gateway, "ben", ALL_PERMISSIONS)
        else:
            key, user_id = issuer.token(), f"anna{suffix_of(issuer.url)}"
            bens = issuer.token(sub="ben", scope="chat metrics admin")
        async with plain_http(gateway.url, headers=bearer(key)) as anna:
            things = await things_of(gateway, anna, user_id)
            live = {**SAYS, "content": f"{SECRET} live", "session_id": int(things["session"])}
            async with anna.stream("POST", STREAM, json={**live, "resumable": True}) as reply:
                events = unified_events(reply)
                things["live"] = (await anext(events))["stream_id"]
                things["live response"] = f"resp_{things['live']}"
                await anext(events)
                yield gateway, things, bens
                held.set()
                assert kinds([event async for event in events]) == ["chunk", "done"]
            kept = (await anna.get(f"{API}/sessions/{things['session']}")).json()
            assert kept["title"] == f"{SECRET} title"
            path = f"{API}/sessions/{things['session']}/messages"
            assert [message["status"] for message in (await anna.get(path)).json()] == ["complete"] * 4
            if (await anna.get(f"{API}/templates")).status_code == 200:
                assert (await anna.get(f"{API}/templates/{things['template']}")).json()["name"] == SECRET


async def things_of(gateway: Served, anna: httpx.AsyncClient, user_id: str) -> Names:
    session = (await anna.post(f"{API}/sessions", json={"title": f"{SECRET} title"})).json()
    assert (await anna.post(f"{ROOMS}/{session['id']}/members", json={"user": "carol"})).is_success
    asked = {"content": SECRET, "session_id": session["id"], "resumable": True}
    ended = await anna.post(STREAM, json=asked, headers={"idempotency-key": f"{SECRET}-claim"})
    lunar = await anna.post("/api/chat/stream", json={"message": SECRET})
    await anna.post("/api/v1/chat/unified/stream", json={"message": SECRET, "user_id": "u1"})
    await keys_of(gateway).add_device("annas-device", user_id)
    message = await anna.post("/v1/messages", json={**ANTHROPIC, "thread": {"type": "create"}})
    uploaded = {"name": f"{SECRET}.txt", "data": b64encode(SECRET.encode()).decode()}
    attachment = await anna.post(f"{API}/attachments", json=uploaded)
    template = await anna.post(f"{API}/templates", json={"name": SECRET, "system_prompt": SECRET})
    return {
        "session": str(session["id"]),
        "uuid": session["uuid"],
        "session key": session["key"],
        "ended": ended.headers["sluice-stream-id"],
        "response": f"resp_{ended.headers['sluice-stream-id']}",
        "message": message.json()["id"],
        "device": "annas-device",
        "claim": f"{SECRET}-claim",
        "cookie": lunar.cookies["sluice_conversation"],
        "words user": "u1",
        "stored message": "2",
        "attachment": attachment.json()["id"],
        "template": str(template.json()["id"]) if template.status_code == 201 else "1",
    }


def test_every_endpoint_has_a_case() -> None:
    assert set(CASES) == THERE


@pytest.mark.parametrize("by", ["keys", "tokens"])
async def test_nothing_of_another_users_shows_anywhere(tmp_path: Path, by: str) -> None:
    async with (
        IssuerServer().running() as issuer,
        annas_house(tmp_path, issuer if by == "tokens" else None) as (gateway, things, bens),
        plain_http(gateway.url, headers=bearer(bens)) as ben,
    ):
        for (method, path), cases in CASES.items():
            for case in cases:
                if isinstance(case, Case):
                    annas = await ask(ben, method, path, case, things[case.thing])
                    nobodys = await ask(ben, method, path, case, UNKNOWN[case.thing])
                    assert annas == nobodys, (method, path, case)
                    if case.hidden:
                        assert annas[0] == 404, (method, path, case, annas)
                else:
                    answer = await ben.request(method, path, json=case.body)
                    assert answer.status_code in {200, 201, 501, 503}, (method, path, answer.text)
                    for told in (SECRET, things["uuid"], things["session key"], things["live"], "anna"):
                        assert told not in answer.text, (method, path)


async def ask(
    ben: httpx.AsyncClient, method: str, path: str, case: Case, name: str
) -> tuple[int, list[tuple[str, str]], str]:
    """Return status, headers and body of the response, without the name and values that always differ."""

    def named(value: Any) -> Any:
        if value != "{}":
            return json.loads(json.dumps(value).replace("{}", name))
        return int(name) if case.thing in {"session", "template"} else name

    answer = await ben.request(
        method,
        path.replace("{id}", name),
        json=None if case.body is None else {key: named(value) for key, value in case.body.items()},
        params={key: str(named(value)) for key, value in case.query.items()},
        headers={key: str(named(value)) for key, value in case.headers.items()},
    )
    if not case.hidden:
        # Ben's own new reply, which must not continue a conversation of Anna's.
        assert SECRET not in answer.text
        assert "anna" not in answer.text.replace("annas-device", "")
        return answer.status_code, [], ""
    told = [
        (key, value)
        for key, value in answer.headers.items()
        # These differ always.
        if key not in {"date", "content-length", "x-request-id", "request-id"} and "ratelimit" not in key
    ]
    return answer.status_code, told, answer.text.replace(name, "…")
