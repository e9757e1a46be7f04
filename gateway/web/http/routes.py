"""Routing: Router finds the endpoint of a request, Dispatcher calls its application."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

from gateway.contract.errors import GatewayError, MethodNotAllowed
from gateway.web.http.asgi import METHODS_WITH_BODY, App, Receive, Scope, Send
from gateway.web.http.endpoint import (
    BODY,
    ENDPOINT,
    HELD_BODIES,
    AsgiEndpoint,
    Endpoint,
    read_request,
    refuse,
)
from gateway.web.http.refusal_log import REFUSALS, RefusalLog
from gateway.web.relay.relay import RunsElsewhere
from gateway.web.services import Services

_PLACE = re.compile(r"{(\w+)(:path)?}")


@dataclass(frozen=True, slots=True)
class _Place:
    """The endpoints at one path. other: the endpoint for methods that none of them has."""

    prefix: str
    pattern: re.Pattern[str]
    methods: dict[str, Endpoint]
    other: Endpoint


class Routes:
    """Finds the endpoint for a method and a path.

    Args:
        table: if several paths match, an exact one wins over one with `{…}`, else the first one.
        elsewhere: endpoints with method `*` for all other paths; the last one must match every path.
    """

    def __init__(self, table: Sequence[Endpoint], elsewhere: Sequence[Endpoint]) -> None:
        by_path: dict[str, list[Endpoint]] = {}
        for endpoint in table:
            by_path.setdefault(_PLACE.sub(r"{\2}", endpoint.path), []).append(endpoint)
        places = [(endpoints[0].path, _place_of(tuple(endpoints))) for endpoints in by_path.values()]
        self._exact = {path: place for path, place in places if "{" not in path}
        self._patterns = [place for path, place in places if "{" in path]
        self._patterns += [_place_of((endpoint,)) for endpoint in elsewhere]
        self._methods = [endpoint.method for endpoint in table]

    def __iter__(self) -> Iterator[Endpoint]:
        """Every endpoint, including those that answer 404 or 405."""
        for place in (*self._exact.values(), *self._patterns):
            yield from {*place.methods.values(), place.other}

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
        """Return the endpoint, and the path parameters by name."""
        place, params = self._place(path)
        return place.methods.get(method, place.other), params

    def methods_at(self, path: str) -> tuple[str, ...]:
        """Return the methods that are allowed at this path, with HEAD; all methods if it has no endpoint."""
        methods = self._place(path)[0].methods
        return MethodNotAllowed("", _http(self._methods if "*" in methods else methods)).allowed

    def _place(self, path: str) -> tuple[_Place, dict[str, str]]:
        place = self._exact.get(path)
        if place is not None:
            return place, {}
        for place in self._patterns:
            if path.startswith(place.prefix):
                found = place.pattern.fullmatch(path)
                if found is not None:
                    return place, found.groupdict()
        raise AssertionError("the last entry of elsewhere matches every path")


class Router:
    """Puts the request's Endpoint and the RefusalLog into its scope, for authentication and everything after
    it."""

    def __init__(self, app: App, routes: Routes, refusals: RefusalLog) -> None:
        self._app = app
        self._routes = routes
        self._refusals = refusals

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        method = "WEBSOCKET" if scope["type"] == "websocket" else scope["method"]
        if method == "HEAD":
            method = "GET"
        scope[REFUSALS] = self._refusals
        scope[ENDPOINT], scope["path_params"] = self._routes.find(method, scope["path"])
        return self._app(scope, receive, send)


class Dispatcher:
    """Calls the application of the endpoint in the scope, and sends its GatewayErrors.

    json_api: the application for all JsonEndpoints.
    """

    def __init__(self, routes: Routes, gateway: Services, json_api: App) -> None:
        self._gateway = gateway
        self._apps: dict[Endpoint, App] = {
            endpoint: endpoint.handler(gateway) if isinstance(endpoint, AsgiEndpoint) else json_api
            for endpoint in routes
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._apps[scope[ENDPOINT]]
        held = scope[HELD_BODIES] = []
        try:
            try:
                await app(scope, receive, send)
            except RunsElsewhere as found:
                await self._relay(found, partial(app, scope, receive, send), scope, receive, send)
        except GatewayError as error:
            await refuse(scope, send, error)
        finally:
            for body in held:
                body.leave()

    async def _relay(
        self,
        found: RunsElsewhere,
        handle_here: Callable[[], Awaitable[None]],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        relay = self._gateway.relay
        assert relay is not None  # noqa: S101 - nothing runs elsewhere without other gateways
        body = b""
        if scope["method"] in METHODS_WITH_BODY:
            body = scope[BODY] = await read_request(self._gateway, scope, receive)
        await relay.answer(found.owner, scope, send, body, handle_here)


@cache
def _place_of(endpoints: tuple[Endpoint, ...]) -> _Place:
    path = endpoints[0].path
    pattern, at = "", 0
    for found in _PLACE.finditer(path):
        pattern += re.escape(path[at : found.start()]) + f"(?P<{found[1]}>{'.*' if found[2] else '[^/]+'})"
        at = found.end()
    pattern += re.escape(path[at:])
    methods = {endpoint.method: endpoint for endpoint in endpoints}
    if len(methods) < len(endpoints):
        raise ValueError(f"Two endpoints have the same method at {path}.")
    every = next((endpoint for endpoint in endpoints if endpoint.method == "*"), None)
    return _Place(
        path.partition("{")[0],
        re.compile(pattern, re.DOTALL),
        {str(method): endpoint for method, endpoint in methods.items()},
        every or _wrong_method(endpoints[0], _http(methods)),
    )


def _http(methods: Iterable[str]) -> list[str]:
    return [method for method in dict.fromkeys(methods) if method not in {"WEBSOCKET", "*"}]


def _wrong_method(endpoint: Endpoint, allowed: list[str]) -> AsgiEndpoint:
    """Return the endpoint that answers 405 at this endpoint's path, after authentication."""

    answered = " or ".join(allowed) or "WebSocket"

    async def refuse_method(scope: Scope, receive: Receive, send: Send) -> None:
        raise MethodNotAllowed(f"Only {answered} is allowed here.", allowed)

    return AsgiEndpoint(
        method="*",
        path=endpoint.path,
        name=f"{endpoint.name}_wrong_method",
        summary="Method not allowed",
        tag=endpoint.tag,
        scopes=endpoint.scopes,
        errors=endpoint.errors,
        text_body=True,  # 405 for every body, also one that is no JSON: nothing reads it
        handler=lambda _: refuse_method,
    )
