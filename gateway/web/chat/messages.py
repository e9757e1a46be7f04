"""Send a message and stream its reply, or wait for the whole reply; stop a reply."""

from functools import partial

from gateway.contract.error_codes import error_of
from gateway.contract.record import replace
from gateway.contract.store import StoredMessage
from gateway.dialects.json_encoding import json_bytes
from gateway.web.api.dependencies import Gateway, UserId
from gateway.web.api.views import StreamState, attached_bytes, message_view
from gateway.web.chat.follow import follow
from gateway.web.chat.forms import Form, accept, begin
from gateway.web.chat.unified_form import unified_form
from gateway.web.chat.whole_replies import until_ended
from gateway.web.http.asgi import Receive, Scope, Send, connection_of
from gateway.web.http.large_bodies import unhurried
from gateway.web.http.problems import send_json_bytes, send_problem
from gateway.web.services import Services


class MessageStream:
    """Answers a POST with a stream.

    Args:
        form: parses the body.
        continues: True if the form continues a stored reply.
    """

    def __init__(self, gateway: Services, form: Form, *, continues: bool = False) -> None:
        self._gateway = gateway
        self._form = form
        self._continues = continues

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        asked = await accept(gateway, self._form, scope, receive)
        question = asked.question
        stream_id = await begin(gateway, asked)
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
            continues=self._continues,
        )


class WholeMessage:
    """Answers a POST with both messages, when the reply has ended."""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        asked = await accept(gateway, unified_form, scope, receive)
        resumable = asked.question.idempotency is not None
        question = replace(asked.question, pace=None, resumable=resumable)
        user_id = question.user_id
        stream_id = await begin(gateway, replace(asked, question=question))
        if not await until_ended(gateway, stream_id, user_id, connection_of(scope)):
            return  # the client has disconnected
        reply = await gateway.store.reply(user_id, stream_id)
        asked_message = await self._question(stream_id, user_id)
        told = {"user_message": message_view(asked_message), "assistant_message": message_view(reply)}
        if (failure := reply.error) is not None:
            await send_problem(send, error_of(failure.code, failure.message, failure.retryable), **told)
        else:
            body = await unhurried(attached_bytes([asked_message]), partial(json_bytes, told))
            await send_json_bytes(send, 200, body)

    async def _question(self, stream_id: str, user_id: str) -> StoredMessage:
        store = self._gateway.store
        exchange = await store.exchange(user_id, stream_id)
        return await store.message(user_id, exchange.user_message_id)


async def stop_stream(gateway: Gateway, user_id: UserId, stream_id: str) -> StreamState:
    """Stop a reply, and return its state. Raises NotFound for an unknown stream."""
    return StreamState(stream_id, *await gateway.stops.stop(stream_id, user_id))
