"""Converts rows to the contract's types, and a FinalReply to a row."""

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from gateway.contract.authors import Author
from gateway.contract.events import ToolCall, Usage
from gateway.contract.exchanges import FinalReply, StoredError
from gateway.contract.journal import Position
from gateway.contract.store import StoredMessage, StoredSession
from gateway.store.columns import storable
from gateway.store.parts import parts_in


def stored_session(row: Row[Any]) -> StoredSession:
    return StoredSession(
        id=row.id,
        uuid=row.uuid,
        key=row.key,
        user_id=row.user_id,
        title=row.title,
        created_at=row.created_at,
        updated_at=row.updated_at,
        leaf_id=row.leaf_id,
    )


def stored_message(row: Row[Any]) -> StoredMessage:
    usage = None
    if row.total_tokens is not None:
        usage = Usage(row.prompt_tokens, row.completion_tokens, row.total_tokens, row.tokens_per_s)
    error = None
    if row.error_code is not None:
        error = StoredError(row.error_code, row.error_message, row.error_retryable)
    return StoredMessage(
        id=row.id,
        uuid=row.uuid,
        session_id=row.session_id,
        parent_id=row.parent_id,
        author=Author.parse(row.author),
        role=row.role,
        content=row.content,
        status=row.status,
        created_at=row.created_at,
        reason=row.reason,
        usage=usage,
        ttft_ms=row.ttft_ms,
        response_ms=row.response_ms,
        delivery=row.delivery,
        mode=row.mode,
        model=row.model,
        stream_id=row.stream_id,
        reasoning=row.reasoning,
        tool_calls=tuple(ToolCall(**call) for call in row.tool_calls or ()),
        tool_call_seqs=tuple(row.tool_call_seqs or ()),
        last_seq=row.last_seq,
        error=error,
        parts=parts_in(row.parts, row.id),
        event_lengths=row.event_lengths,
        request=row.request,
        places=tuple(Position(*place) for place in row.continued or ()),
        epoch=row.epoch,
        seams=tuple(row.seams or ()),
        origin=row.origin,
        client_id=row.client_id,
    )


async def stored_messages(rows: Sequence[Row[Any]]) -> list[StoredMessage]:
    """Convert rows, in a thread if a message has attachments, which take long."""
    if all(row.parts is None for row in rows):
        return list(map(stored_message, rows))
    return await asyncio.to_thread(lambda: list(map(stored_message, rows)))


def final_values(reply: FinalReply) -> dict[str, Any]:
    """Return the values of a reply's final state by column: the only list of them."""
    usage, error = reply.usage, reply.error
    return {
        "status": reply.status,
        "reason": reply.reason,
        "content": reply.content,
        "reasoning": reply.reasoning,
        "tool_calls": [_tool_call(call) for call in reply.tool_calls] or None,
        "delivery": reply.delivery,
        "mode": reply.mode,
        "model": reply.model,
        "prompt_tokens": usage and usage.prompt_tokens,
        "completion_tokens": usage and usage.completion_tokens,
        "total_tokens": usage and usage.total_tokens,
        "tokens_per_s": usage and usage.tokens_per_s,
        "ttft_ms": reply.ttft_ms,
        "error_code": error and error.code,
        "error_message": error and error.message,
        "tool_call_seqs": list(reply.tool_call_seqs) or None,
        "last_seq": reply.last_seq,
        "response_ms": reply.response_ms,
        "author": str(Author("assistant", reply.model)),
        "error_retryable": error and error.retryable,
        "event_lengths": reply.event_lengths,
        "seams": list(reply.seams) or None,
    }


def _tool_call(call: ToolCall) -> dict[str, str]:
    return {"id": storable(call.id), "name": storable(call.name), "arguments": storable(call.arguments)}
