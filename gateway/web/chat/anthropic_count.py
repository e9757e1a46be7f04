"""Anthropic's `POST /v1/messages/count_tokens`: the tokens of a conversation, by the model server's count."""

from functools import partial

from gateway.contract.requests import ChatRequest
from gateway.web.chat.anthropic_blocks import with_reminders
from gateway.web.chat.anthropic_form import MessagesBody, asked_messages
from gateway.web.door.callers import caller_of
from gateway.web.http.asgi import Receive, Scope, Send, connection_of
from gateway.web.http.bodies import parse
from gateway.web.http.departures import unless_gone
from gateway.web.http.endpoint import read_request
from gateway.web.http.large_bodies import unhurried
from gateway.web.http.problems import send_json
from gateway.web.http.traced_requests import trace_of
from gateway.web.services import Services

_NO_STREAM = "0" * 32


class CountTokens:
    """Answers with the number of tokens. Nothing is generated or stored."""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway, caller = self._gateway, caller_of(scope)
        raw = await read_request(gateway, scope, receive)
        body = await unhurried(len(raw), partial(parse, raw, MessagesBody))
        asked = await asked_messages(gateway, caller.user_id, body, len(raw))
        request = ChatRequest(
            _NO_STREAM,
            with_reminders(asked.turns),
            asked.sampling,
            asked.model,
            deadline_s=gateway.reply_deadline_s,
            trace=trace_of(scope),
        )
        async with gateway.conversations.occupying(caller.user_id, caller.allowance):
            count = await unless_gone(connection_of(scope), gateway.modes.count_tokens(request))
        if count is not None:
            await send_json(send, 200, {"input_tokens": count})
