"""Messages: ask and read the reply as a stream, ask and wait for the whole of it, stop it."""

from typing import Any

from gateway.contract.dialect import Dialect
from gateway.contract.errors import GatewayError, NotFound
from gateway.contract.events import Started
from gateway.core.conversations import Question
from gateway.core.followers import Follower
from gateway.core.pacing import Pace
from gateway.web.asgi import Connection, Receive, Scope, Send, connection_of, header, read_body
from gateway.web.bodies import MessageBody, check_content_length, parse
from gateway.web.event_stream import EventStream
from gateway.web.gateway import LOCAL_USER, Gateway
from gateway.web.problems import send_json, send_problem
from gateway.web.views import message_json


class MessageStream:
    """`POST /messages/stream`: an ASGI application ahead of FastAPI, which would cost more than the reply."""

    def __init__(self, gateway: Gateway, dialect: Dialect) -> None:
        self._gateway = gateway
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        try:
            body = parse(await read_body(receive, gateway.max_body_bytes), MessageBody)
            resumable = body.resumable or header(scope, b"sluice-resumable") == "1"
            run = await gateway.conversations.ask(
                question_of(body, gateway, gateway.pace, resumable=resumable)
            )
        except GatewayError as error:
            await send_problem(send, error)
            return
        stream = EventStream(
            connection_of(scope), self._dialect.encoder(), gateway.pulse, with_ids=run.resumable
        )
        with gateway.runs.reading(run, stream.hear) as reader:
            await stream.serve(reader, send, [(b"sluice-stream-id", run.stream_id.encode())])


class WholeMessage:
    """`POST /api/chatbot/messages`: the same question, answered when the reply has ended."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        try:
            body = parse(await read_body(receive, gateway.max_body_bytes), MessageBody)
            run = await gateway.conversations.ask(question_of(body, gateway, None, resumable=False))
            with gateway.runs.following(run) as follower:
                started = await _follow_to_end(follower, connection_of(scope))
            if started is None:
                return  # The client is gone: nobody would hear the answer.
            await run.ended.wait()
            told = await self._exchange(started)
        except GatewayError as error:
            await send_problem(send, error)
            return
        failure = None if run.outcome is None else run.outcome.error
        if failure is not None:
            await send_problem(send, failure, **told)
        else:
            await send_json(send, 200, told)

    async def _exchange(self, started: Started) -> dict[str, Any]:
        store = self._gateway.store
        questions = await store.messages(
            LOCAL_USER, started.session_id, after=started.user_message_id - 1, limit=1
        )
        reply = await store.reply(LOCAL_USER, started.stream_id)
        return {"user_message": message_json(questions[0]), "assistant_message": message_json(reply)}


async def stop(gateway: Gateway, stream_id: str) -> dict[str, Any]:
    """End a reply, or tell how it ended; NotFound if there never was one."""
    try:
        outcome = await gateway.runs.stop(stream_id, LOCAL_USER)
    except NotFound:
        reply = await gateway.store.reply(LOCAL_USER, stream_id)
        return {"stream_id": stream_id, "status": reply.status, "reason": reply.reason}
    return {"stream_id": stream_id, "status": outcome.status, "reason": outcome.reason}


def question_of(body: MessageBody, gateway: Gateway, pace: Pace | None, *, resumable: bool) -> Question:
    """What the body asks; Unprocessable if its content is too long."""
    check_content_length(body.content, gateway.max_content_chars)
    return Question(
        user_id=LOCAL_USER,
        content=body.content,
        session_id=body.session_id,
        system_prompt=body.system_prompt,
        model=body.model,
        sampling=body.sampling(),
        resumable=resumable,
        pace=pace,
    )


async def _follow_to_end(follower: Follower, connection: Connection) -> Started | None:
    """Read a reply to its end and give its beginning; None if the client went away first."""
    started: Started | None = None
    client = _Client(follower)
    connection.watch(client)
    try:
        while (events := await follower.read()) is not None:
            started = next((event for event in events if isinstance(event, Started)), started)
    finally:
        connection.watch(None)
    return None if client.gone else started


class _Client:
    """Stops following when the client goes away."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self.gone = False

    def connection_lost(self) -> None:
        self.gone = True
        self._follower.stop()

    def connection_writable(self) -> None:
        pass
