"""`POST /v1/chat/completions`: a stream whose head waits for the model's first word, or the whole reply."""

import asyncio
from contextlib import ExitStack
from typing import Any

from gateway.contract.errors import NotFound, error_of
from gateway.contract.events import Cancelled, Delta, Failed, Finished, Reasoning, ToolCall
from gateway.contract.journal import START
from gateway.contract.store import StoredMessage
from gateway.core.follower import Follower
from gateway.core.runs import Run
from gateway.dialects.openai import (
    DEFAULT_MODEL,
    completion_id,
    finish_reason_of,
    tool_call_json,
    usage_json,
)
from gateway.web.chat.forms import Asked, accept, begin
from gateway.web.chat.openai_form import CompletionForm
from gateway.web.chat.resume import follow
from gateway.web.chat.whole_replies import until_ended, waiting
from gateway.web.http.asgi import Connection, Receive, Scope, Send, connection_of
from gateway.web.http.problems import send_json
from gateway.web.services import Services

_FIRST = (Delta, Reasoning, ToolCall, Finished, Cancelled, Failed)


class ChatCompletions:
    """always_streams: whatever the request says of `stream`."""

    def __init__(self, gateway: Services, *, always_streams: bool = False) -> None:
        self._gateway = gateway
        self._always_streams = always_streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway
        form = CompletionForm(streams=self._always_streams)
        asked = await accept(gateway, form.read, scope, receive)
        stream_id = await begin(gateway, asked)
        if form.streams:
            await self._stream(scope, send, asked, stream_id)
        else:
            await self._answer_whole(scope, send, asked, stream_id)

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
        """The reply whose first word the head waits for.

        None for a client that goes on, since it had its 200, and for a reply that only the store knows.
        """
        if asked.after != START:
            return None
        try:
            return self._gateway.runs.find(stream_id, asked.question.user_id)
        except NotFound:
            return None

    async def _speaks(self, follower: Follower, connection: Connection) -> bool:
        """Wait until the reply has something to tell, but not longer than a heartbeat may take; False if the
        client is gone. Raises what made it fail before that."""
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

    async def _answer_whole(self, scope: Scope, send: Send, asked: Asked, stream_id: str) -> None:
        gateway, user_id = self._gateway, asked.question.user_id
        if not await until_ended(gateway.runs, stream_id, user_id, connection_of(scope)):
            return  # Nobody would hear the answer.
        reply = await gateway.store.reply(user_id, stream_id)
        if reply.error is not None:
            raise error_of(reply.error.code, reply.error.message, reply.error.retryable)
        headers = {"sluice-stream-id": stream_id}
        await send_json(send, 200, completion_json(reply, stream_id), headers)


def completion_json(reply: StoredMessage, stream_id: str) -> dict[str, Any]:
    """The `chat.completion` object; `usage` is null where it is unknown."""
    calls = [tool_call_json(call) for call in reply.tool_calls]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if calls and not reply.content else reply.content,
        "refusal": None,
    }
    if reply.reasoning is not None:
        message["reasoning_content"] = reply.reasoning
    if calls:
        message["tool_calls"] = calls
    finish_reason = finish_reason_of(reply.reason)
    return {
        "id": completion_id(stream_id),
        "object": "chat.completion",
        "created": int(reply.created_at.timestamp()),
        "model": reply.model or DEFAULT_MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}],
        "usage": None if reply.usage is None else usage_json(reply.usage),
    }
