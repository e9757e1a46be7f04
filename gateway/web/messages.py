"""Messages: ask and read the reply as a stream, ask and wait for the whole of it, stop it."""

import hashlib
from typing import Any

import msgspec

from gateway.contract.dialect import Dialect
from gateway.contract.errors import BadRequest, GatewayError, NotFound, error_of
from gateway.contract.store import IdempotencyClaim
from gateway.core.conversations import Question
from gateway.core.followers import Follower
from gateway.core.pacing import Pace
from gateway.web.asgi import Connection, Receive, Scope, Send, connection_of, header, read_body
from gateway.web.bodies import MessageBody, check_content_length, parse
from gateway.web.callers import caller_of
from gateway.web.gateway import Gateway
from gateway.web.problems import send_json, send_problem
from gateway.web.streams import follow
from gateway.web.views import message_json

MAX_KEY_CHARS = 255


class MessageStream:
    """`POST /messages/stream`: an ASGI application ahead of FastAPI, which would cost more than the reply."""

    def __init__(self, gateway: Gateway, dialect: Dialect) -> None:
        self._gateway = gateway
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        try:
            user_id = caller_of(scope).user_id
            raw = await read_body(receive, gateway.max_body_bytes)
            body = parse(raw, MessageBody)
            claim = claim_of(scope, raw)
            resumable = body.resumable or claim is not None or header(scope, b"sluice-resumable") == "1"
            stream_id = await gateway.conversations.ask(
                question_of(body, gateway, user_id, gateway.pace, claim, resumable=resumable)
            )
            await follow(gateway, scope, send, self._dialect, stream_id, user_id, with_ids=resumable)
        except GatewayError as error:
            await send_problem(send, error)


class WholeMessage:
    """`POST /api/chatbot/messages`: the same question, answered when the reply has ended."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        try:
            user_id = caller_of(scope).user_id
            raw = await read_body(receive, gateway.max_body_bytes)
            claim = claim_of(scope, raw)
            body = parse(raw, MessageBody)
            question = question_of(body, gateway, user_id, None, claim, resumable=claim is not None)
            stream_id = await gateway.conversations.ask(question)
            if not await self._ended(stream_id, user_id, connection_of(scope)):
                return  # The client is gone: nobody would hear the answer.
            reply = await gateway.store.reply(user_id, stream_id)
            question_json = await self._question(stream_id, user_id)
            told = {"user_message": question_json, "assistant_message": message_json(reply)}
        except GatewayError as error:
            await send_problem(send, error)
            return
        if reply.error is not None:
            await send_problem(send, error_of(reply.error.code, reply.error.message), **told)
        else:
            await send_json(send, 200, told)

    async def _ended(self, stream_id: str, user_id: str, connection: Connection) -> bool:
        """Return True when the reply has ended, or False when the client has gone before that."""
        try:
            run = self._gateway.runs.find(stream_id, user_id)
        except NotFound:
            return True  # It was asked with a key that was used long ago.
        with self._gateway.runs.following(run) as follower:
            client = _Client(follower)
            connection.watch(client)
            try:
                while await follower.read() is not None:
                    pass
            finally:
                connection.watch(None)
        return not client.gone

    async def _question(self, stream_id: str, user_id: str) -> dict[str, Any]:
        store = self._gateway.store
        exchange = await store.exchange(user_id, stream_id)
        before = exchange.user_message_id - 1
        (question,) = await store.messages(user_id, exchange.session_id, after=before, limit=1)
        return message_json(question)


async def stop(gateway: Gateway, stream_id: str, user_id: str) -> dict[str, Any]:
    """End a reply, or tell how it ended; NotFound if there never was one."""
    try:
        outcome = await gateway.runs.stop(stream_id, user_id)
    except NotFound:
        reply = await gateway.store.reply(user_id, stream_id)
        return {"stream_id": stream_id, "status": reply.status, "reason": reply.reason}
    return {"stream_id": stream_id, "status": outcome.status, "reason": outcome.reason}


def question_of(
    body: MessageBody,
    gateway: Gateway,
    user_id: str,
    pace: Pace | None,
    claim: IdempotencyClaim | None,
    *,
    resumable: bool,
) -> Question:
    """What the body asks; Unprocessable if its content is too long."""
    check_content_length(body.content, gateway.max_content_chars)
    return Question(
        user_id=user_id,
        content=body.content,
        session_id=body.session_id,
        system_prompt=body.system_prompt,
        model=body.model,
        sampling=body.sampling(),
        resumable=resumable,
        pace=pace,
        idempotency=claim,
    )


def claim_of(scope: Scope, body: bytes) -> IdempotencyClaim | None:
    """The request's Idempotency-Key with what it stands for: endpoint and body, however that is spaced."""
    key = header(scope, b"idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY_CHARS:
        raise BadRequest(f"An Idempotency-Key has 1 to {MAX_KEY_CHARS} characters.")
    canonical = msgspec.json.encode(msgspec.json.decode(body), order="deterministic")
    return IdempotencyClaim(key, hashlib.sha256(scope["path"].encode() + b"\n" + canonical).hexdigest())


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
