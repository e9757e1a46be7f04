"""From a request to its entry: patterns, precedence, other methods, and what the coming endpoints need."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.contract.errors import BadRequest, GatewayError, NotFound
from gateway.web.api.dependencies import Gateway
from gateway.web.app import create_app
from gateway.web.door.open_mode import OpenMode
from gateway.web.door.proxies import TrustedProxies
from gateway.web.endpoints.table import ELSEWHERE, ENDPOINTS
from gateway.web.http.asgi import App, Receive, Scope, Send, header
from gateway.web.http.endpoint import (
    ADMIN,
    PUBLIC,
    AsgiEndpoint,
    Endpoint,
    JsonEndpoint,
    path_id,
    read_request,
)
from gateway.web.http.error_shapes import ErrorShape
from gateway.web.http.problems import send_json
from gateway.web.http.routes import Routes
from gateway.web.services import Services
from tests.web.gateway_server import served
from tests.web.key_holders import bearer, make_key


def entry(method: Any, path: str, name: str = "", **more: Any) -> AsgiEndpoint:
    return AsgiEndpoint(
        **{"handler": nobody, "summary": "s", "description": "d.", "tag": "t", **more},
        method=method,
        path=path,
        name=name or path,
    )


def nobody(_: Services) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("nobody asks it")

    return app


@pytest.mark.parametrize(
    ("path", "name", "params"),
    [
        ("/a/b", "exact", {}),
        ("/a/x", "one", {"id": "x"}),
        ("/a/x/b", "inner", {"id": "x"}),
        ("/a/x.y-z~%", "one", {"id": "x.y-z~%"}),
        ("/a/\n", "one", {"id": "\n"}),
        ("/m/x/y/z", "rest", {"rest": "x/y/z"}),
        ("/m/", "rest", {"rest": ""}),
        ("/a/", "nothing", {"rest": "/a/"}),
        ("/a//b", "nothing", {"rest": "/a//b"}),
        ("/a/x/c", "nothing", {"rest": "/a/x/c"}),
        ("*", "nothing", {"rest": "*"}),
        ("", "nothing", {"rest": ""}),
        ("/v1/x", "nothing", {"rest": "x"}),
    ],
)
def test_a_path_has_one_entry(path: str, name: str, params: dict[str, str]) -> None:
    table = [
        entry("GET", "/a/{id}", "one"),
        entry("GET", "/a/b", "exact"),
        entry("GET", "/a/{id}/b", "inner"),
        entry("GET", "/m/{rest:path}", "rest"),
    ]
    found, found_params = Routes(table, ELSEWHERE).find("GET", path)
    assert (found.name, found_params) == (name, params)


@pytest.mark.parametrize("other", ["/a/{id}", "/a/{name}"])
def test_two_entries_for_one_method_at_one_path_are_a_mistake(other: str) -> None:
    with pytest.raises(ValueError, match="same method"):
        Routes([entry("GET", "/a/{id}"), entry("GET", other, "other")], ELSEWHERE)


def test_entries_at_one_path_may_call_their_id_differently() -> None:
    routes = Routes([entry("GET", "/a/{id}"), entry("PUT", "/a/{name}")], ELSEWHERE)
    assert routes.methods_at("/a/x") == ("GET", "PUT", "HEAD")
    assert len(routes.find("PUT", "/a/x")[1]) == 1


def test_a_method_of_no_entry_goes_to_one_that_refuses_it_with_the_same_scopes() -> None:
    admins = entry("PUT", "/a", "admins", scopes=ADMIN)
    routes = Routes([admins], ELSEWHERE)
    other, _ = routes.find("GET", "/a")
    assert (other.name, other.scopes, other.errors) == ("admins_wrong_method", ADMIN, admins.errors)


@asynccontextmanager
async def asked(tmp_path: Path, *entries: Endpoint, keyed: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway with these entries beside its own; keyed: of a key's scope."""

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        yield

    async with served(tmp_path, lambda _: []) as gateway:
        app = create_app(
            gateway.assembled.gateway,
            lifespan,
            open_mode=OpenMode({"localhost"}, (), TrustedProxies()),
            proxies=TrustedProxies(),
            table=(*ENDPOINTS, *entries),
        )
        headers = bearer(await make_key(gateway, "anna", frozenset({keyed}))) if keyed else {}  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers=headers
        ) as http:
            yield http


async def test_an_endpoint_is_one_entry(tmp_path: Path) -> None:
    async def greet(gateway: Gateway, name: str) -> dict[str, str]:
        if name == "nobody":
            raise NotFound("Nobody is called so.")
        return {"hello": name, "version": gateway.version}

    entry = JsonEndpoint(
        method="GET",
        path="/api/greetings/{name}",
        handler=greet,
        name="greet",
        summary="A greeting",
        description="For a test.",
        tag="tests",
        scopes=ADMIN,
    )
    async with asked(tmp_path, entry, keyed="admin") as http:
        answers = [
            await http.get("/api/greetings/anna"),
            await http.head("/api/greetings/anna"),
            await http.post("/api/greetings/anna", json={}),
            await http.get("/api/greetings/nobody"),
            await http.get("/api/greetings/anna", headers={"authorization": ""}),
        ]
        document = (await http.get("/openapi.json")).json()
    assert [answer.status_code for answer in answers] == [200, 200, 405, 404, 401]
    assert answers[0].json()["hello"] == "anna"
    assert answers[2].headers["allow"] == "GET, HEAD"
    operation = document["paths"]["/api/greetings/{name}"]["get"]
    assert (operation["summary"], operation["description"]) == ("A greeting", "For a test.")
    assert {"401", "403", "404"} <= set(operation["responses"])
    assert operation["security"]


async def test_an_endpoint_brings_an_error_shape_a_body_limit_and_several_dialects(tmp_path: Path) -> None:
    """As `/api/chat` and `/v1/messages` will."""

    async def send_plain(scope: Scope, send: Send, error: GatewayError) -> None:
        await send_json(send, 418, {"oops": error.code, "by": header(scope, b"accept")})

    class Echo:
        def __init__(self, gateway: Services) -> None:
            self._gateway = gateway

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            body = await read_request(self._gateway, scope, receive)
            if body == b"1":
                raise BadRequest("No.")
            await send_json(send, 200, {"id": path_id(scope), "size": len(body)})

    shape = ErrorShape("Problem", send_plain)
    echo = entry("POST", "/echo/{id:path}", "echo", handler=Echo, errors=shape, max_body_bytes=lambda _: 4)
    async with asked(tmp_path, echo) as http:
        json = {"content-type": "application/json"}
        assert (await http.post("/echo/a/b", content=b"2", headers=json)).json() == {"id": "a/b", "size": 1}
        refused = [
            await http.post("/echo/a", content=b"1", headers=json),
            await http.post("/echo/a", content=b"12345", headers=json),
            await http.post("/echo/a", content=b"x"),
            await http.get("/echo/a"),
        ]
    told = ["bad_request", "too_large", "unsupported_media_type", "method_not_allowed"]
    assert [(answer.status_code, answer.json()["oops"]) for answer in refused] == [(418, x) for x in told]


async def test_a_websocket_has_an_entry_and_is_closed_where_there_is_none(tmp_path: Path) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    def accept(_: Services) -> App:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "websocket.accept", "path": scope["path"]})

        return app

    ws = entry("WEBSOCKET", "/socket", "ws", handler=accept, scopes=PUBLIC)
    async with asked(tmp_path, ws) as http:
        app = http._transport.app  # type: ignore[attr-defined]
        for path in ("/socket", "/other", "/health"):
            scope = {
                "type": "websocket",
                "path": path,
                "query_string": b"",
                "headers": [(b"host", b"localhost")],
                "http_version": "1.1",
                "client": ("127.0.0.1", 1),
            }
            await app(scope, receive, send)
        assert (await http.get("/socket")).status_code == 405
        assert "/socket" not in (await http.get("/openapi.json")).json()["paths"]
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close", "websocket.close"]
