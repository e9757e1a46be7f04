"""The endpoints that stand ahead of FastAPI, which would wrap each of their sends twice."""

from collections.abc import Callable
from contextlib import suppress

from gateway.contract.errors import MethodNotAllowed
from gateway.web.api.session_events import SessionEvents
from gateway.web.api.templates import TemplateTest
from gateway.web.chat.frontend_forms import chat_form, words_form
from gateway.web.chat.messages import MessageStream, WholeMessage
from gateway.web.chat.openai_api import PREFIX, OpenAIApi
from gateway.web.chat.openai_completions import ChatCompletions
from gateway.web.chat.resume import ResumeStream
from gateway.web.chat.unified_form import unified_form
from gateway.web.door.proxies import root_path_of
from gateway.web.http.asgi import App, Message, Receive, Scope, Send
from gateway.web.http.paths import SESSION_PATH, STREAM_PATHS, TEMPLATE_PATH
from gateway.web.http.refusals import refuse
from gateway.web.services import Services


class Ahead:
    """rest: who answers everything else."""

    def __init__(self, gateway: Services, rest: App) -> None:
        self._rest = _FastAPI(rest)
        self._posts: dict[str, App] = {
            **dict.fromkeys(STREAM_PATHS, MessageStream(gateway, unified_form)),
            "/api/chat/stream": MessageStream(gateway, chat_form),
            "/api/v1/chat/unified/stream": MessageStream(gateway, words_form),
            "/api/v1/inference/stream": ChatCompletions(gateway, always_streams=True),
            "/api/chatbot/messages": WholeMessage(gateway),
        }
        # By method, and what stands before and after an id that holds no slash.
        self._by_id: dict[tuple[str, str, str], Callable[[str], App]] = {
            **dict.fromkeys(
                [("GET", f"{path}/", "") for path in STREAM_PATHS], lambda id: ResumeStream(gateway, id)
            ),
            **dict.fromkeys([("DELETE", f"{path}/", "") for path in STREAM_PATHS], lambda _: self._rest),
            ("GET", SESSION_PATH, "/events"): lambda id: SessionEvents(gateway, id),
            ("POST", TEMPLATE_PATH, "/test"): lambda id: TemplateTest(gateway, id),
        }
        self._openai = OpenAIApi(gateway)

    @property
    def routes(self) -> list[tuple[str, str]]:
        """Method and path of each endpoint, the id as `{id}`; but for what is below `/v1/`."""
        by_id = [(method, f"{before}{{id}}{after}") for method, before, after in self._by_id]
        return [*(("POST", path) for path in self._posts), *by_id]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            endpoint = self._rest if scope["type"] != "http" else self._endpoint(scope)
        except MethodNotAllowed as error:
            await refuse(scope, send, error)
        else:
            await endpoint(scope, receive, send)

    def _endpoint(self, scope: Scope) -> App:
        """Who answers; raises MethodNotAllowed where only other methods are answered."""
        path = scope["path"]
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        allowed: list[str] = []
        if path in self._posts:
            if method == "POST":
                return self._posts[path]
            allowed.append("POST")
        elif path.startswith(PREFIX):
            return self._openai
        for (answered, before, after), endpoint_for in self._by_id.items():
            if path.startswith(before) and path.endswith(after):
                id = path[len(before) : len(path) - len(after)]
                if id and "/" not in id:
                    if method == answered:
                        return endpoint_for(id)
                    allowed.append(answered)
        if allowed:
            raise MethodNotAllowed(f"Only {' or '.join(allowed)} is answered here.", allowed)
        return self._rest


class _HeadSent(Exception):
    """Ends an endpoint that would go on to make a body."""


class _FastAPI:
    """FastAPI with what it lacks: it knows no HEAD, and wants the root path in the path."""

    def __init__(self, api: App) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        scope = {**scope, "path": root_path_of(scope) + scope["path"]}
        if scope["method"] != "HEAD":
            await self._api(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                await send({"type": "http.response.body", "body": b""})
                raise _HeadSent
            await send(message)

        with suppress(_HeadSent):
            await self._api({**scope, "method": "GET"}, receive, send_head)
