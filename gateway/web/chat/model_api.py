"""Endpoints of model APIs. A stream's head waits for the first event, so that early errors have a status."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Protocol

from gateway.contract.error_codes import error_of
from gateway.contract.errors import NotFound
from gateway.contract.events import Cancelled, Delta, Failed, Finished, Reasoning, ToolCall
from gateway.contract.journal import START
from gateway.contract.store import StoredMessage
from gateway.core.follower import Follower
from gateway.core.run import Run
from gateway.web.chat.follow import follow
from gateway.web.chat.forms import Asked, Post, accept, begin
from gateway.web.chat.whole_replies import until_ended, waiting
from gateway.web.http.asgi import Connection, Receive, Scope, Send, connection_of
from gateway.web.http.problems import send_json
from gateway.web.http.sse_writer import Headers
from gateway.web.services import Services

_FIRST = (Delta, Reasoning, ToolCall, Finished, Cancelled, Failed)


class NoQuestion(Exception):
    """The request needs no model. answer: the JSON object of the response."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__()
        self.answer = answer


class StreamForm(Protocol):
    """Form of one request of an API that always streams."""

    async def read(self, gateway: Services, post: Post) -> Asked:
        """Parse the body as gateway.web.chat.forms.Form does."""
        ...


class ApiForm(StreamForm, Protocol):
    """Form of one request that asks for a stream or for a whole reply.

    streams: True if it asks for a stream; valid after `read`. `read` also raises NoQuestion.
    """

    @property
    def streams(self) -> bool: ...

    def whole(self, reply: StoredMessage, stream_id: str) -> dict[str, Any]:
        """Return the JSON object of a whole reply that did not fail."""
        ...


class StreamApi:
    """ASGI application of one endpoint that always streams.

    form: makes the form of one request.
    """

    def __init__(self, gateway: Services, form: Callable[[], StreamForm]) -> None:
        self._gateway = gateway
        self._form = form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = await accept(self._gateway, self._form().read, scope, receive)
        await self._stream(scope, send, asked, await begin(self._gateway, asked))

    async def _stream(self, scope: Scope, send: Send, asked: Asked, stream_id: str) -> None:
        gateway, question = self._gateway, asked.question
        with ExitStack() as held:
            run = self._first_heard(asked, stream_id)
            if run is not None:
                follower = held.enter_context(gateway.runs.following(run))
                if not await self._speaks(follower, connection_of(scope)):
                    return
            await follow(
                gateway,
                scope,
                send,
                asked.dialect,
                stream_id,
                question.user_id,
                asked.after,
                with_ids=question.resumable,
                headers=asked.headers,
                joined=held.close,
            )

    def _first_heard(self, asked: Asked, stream_id: str) -> Run | None:
        """Return the run whose first event the head waits for.

        None for a client that resumes, which had status 200 before, and for a reply that only the store has.
        """
        if asked.after != START:
            return None
        try:
            return self._gateway.runs.find(stream_id, asked.question.user_id)
        except NotFound:
            return None

    async def _speaks(self, follower: Follower, connection: Connection) -> bool:
        """Wait for the first event of the reply, at most `ping_s` seconds.

        Returns False if the client has disconnected. Raises the error of a reply that failed before.
        """
        try:
            with waiting(connection, follower) as client:
                async with asyncio.timeout(self._gateway.pulse.ping_s):
                    while (events := await follower.read()) is not None:
                        first = next((event for event in events if isinstance(event, _FIRST)), None)
                        if isinstance(first, Failed):
                            raise error_of(first.code, first.message, first.retryable)
                        if first is not None:
                            break
        except TimeoutError:
            pass
        return not client.gone


class ModelApi(StreamApi):
    """ASGI application of one endpoint that streams or answers with the whole reply, as the request asks."""

    def __init__(self, gateway: Services, form: Callable[[], ApiForm]) -> None:
        super().__init__(gateway, form)
        self._api_form = form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        form = self._api_form()
        try:
            asked = await accept(gateway, form.read, scope, receive)
        except NoQuestion as request:
            await send_json(send, 200, request.answer)
            return
        stream_id = await begin(gateway, asked)
        if form.streams:
            await self._stream(scope, send, asked, stream_id)
        else:
            await self._answer_whole(scope, send, form, asked, stream_id)

    async def _answer_whole(
        self, scope: Scope, send: Send, form: ApiForm, asked: Asked, stream_id: str
    ) -> None:
        gateway, user_id = self._gateway, asked.question.user_id
        if not await until_ended(gateway, stream_id, user_id, connection_of(scope)):
            return  # the client has disconnected
        reply = await gateway.store.reply(user_id, stream_id)
        if reply.error is not None:
            raise error_of(reply.error.code, reply.error.message, reply.error.retryable)
        headers = {"sluice-stream-id": stream_id, **_texts(asked.headers)}
        await send_json(send, 200, form.whole(reply, stream_id), headers)


def _texts(headers: Headers) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
