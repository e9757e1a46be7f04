"""Stored things as the JSON that clients see."""

from typing import Any

from gateway.contract.store import StoredMessage, StoredSession
from gateway.dialects.lam import usage_json


def session_json(session: StoredSession) -> dict[str, Any]:
    return {
        "id": session.id,
        "uuid": session.uuid,
        "key": session.key,
        "title": session.title,
        "created_at": session.created_at.isoformat(),
        "updated_at": session.updated_at.isoformat(),
    }


def message_json(message: StoredMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "uuid": message.uuid,
        "session_id": message.session_id,
        "role": message.role,
        "content": message.content,
        "status": message.status,
        "reason": message.reason,
        "created_at": message.created_at.isoformat(),
        "usage": None if message.usage is None else usage_json(message.usage),
        "delivery": message.delivery,
        "mode": message.mode,
        "model": message.model,
        "stream_id": message.stream_id,
        "reasoning": message.reasoning,
        "tool_calls": [
            {"id": call.id, "name": call.name, "args": call.arguments} for call in message.tool_calls
        ],
        "error": None
        if message.error is None
        else {"code": message.error.code, "message": message.error.message},
    }
