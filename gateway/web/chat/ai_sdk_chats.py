"""A conversation of the AI SDK's by the id that its page gave it: read on, stop, load."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.contract.content import Audio, File, Image, Part, Text
from gateway.contract.store import StoredMessage, StoredSession
from gateway.core.run import Run
from gateway.dialects.ai_sdk import AiSdk
from gateway.dialects.tool_arguments import readable
from gateway.web.chat.agent_sessions import named_thread
from gateway.web.chat.ai_sdk_form import API, HISTORY_MESSAGES
from gateway.web.chat.ai_sdk_tools import Results, results_in
from gateway.web.chat.follow import follow
from gateway.web.door.callers import caller_of
from gateway.web.http.asgi import Receive, Scope, Send
from gateway.web.http.endpoint import path_id
from gateway.web.http.problems import send_json
from gateway.web.http.sse_writer import send_nothing_left
from gateway.web.relay.elsewhere import check_session_is_idle
from gateway.web.services import Services


async def _session(gateway: Services, scope: Scope) -> tuple[str, StoredSession | None]:
    """The caller, and the session of the chat in the path; None if nothing was asked in it."""
    user_id = caller_of(scope).user_id
    return user_id, await gateway.store.latest_session(user_id, named_thread(API, path_id(scope)))


async def running_reply(gateway: Services, user_id: str, chat_id: str) -> Run | None:
    """Return the latest running reply of the user's chat with this id; None if none runs.

    Raises RunsElsewhere if another gateway makes it.
    """
    session = await gateway.store.latest_session(user_id, named_thread(API, chat_id))
    run = _running(gateway, session)
    if run is None and session is not None:
        await check_session_is_idle(gateway, session.id)
    return run


def _running(gateway: Services, session: StoredSession | None) -> Run | None:
    """Return the latest running reply of the session."""
    runs = [] if session is None else gateway.runs.of_session(session.id)
    return max(runs, key=lambda run: run.exchange.assistant_message_id, default=None)


async def resumed(gateway: Services, user_id: str, run: Run) -> AiSdk:
    """Return the dialect of a page that has loaded: a reply that continues another one is a step of it."""
    question_id, session_id = run.exchange.user_message_id, run.exchange.session_id
    first = await gateway.store.messages(user_id, session_id, after=question_id, limit=1, path=True)
    return AiSdk(first[0].uuid if first else None)


class ChatResume:
    """`GET /api/chat/{id}/stream`: the running reply from its first chunk, else 204."""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        user_id, session = await _session(self._gateway, scope)
        run = _running(self._gateway, session)
        if run is None:
            if session is not None:
                await check_session_is_idle(self._gateway, session.id)
            await send_nothing_left(send)
            return
        dialect = await resumed(self._gateway, user_id, run)
        await follow(self._gateway, scope, send, dialect, run.stream_id, user_id)


class ChatStop:
    """`POST /api/chat/{id}/stop`: stop the running reply; the same answer where none runs."""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        user_id, session = await _session(self._gateway, scope)
        run = _running(self._gateway, session)
        if run is not None:
            await self._gateway.stops.stop(run.stream_id, user_id)
        elif session is not None:
            await check_session_is_idle(self._gateway, session.id)
        await send_json(send, 200, {"stopped": run is not None})


class ChatMessages:
    """`GET /api/chat/{id}/messages`: the messages for a page that loads.

    Replies that another one has replaced are left out. So is a running reply: older clients append its replay
    to the part that they hold.
    """

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        user_id, session = await _session(self._gateway, scope)
        stored: list[StoredMessage] = []
        while session is not None:
            page = await self._gateway.store.messages(
                user_id,
                session.id,
                after=stored[-1].id if stored else 0,
                limit=HISTORY_MESSAGES,
                path=True,
            )
            if not page:
                break
            stored += page
        ended = [message for message in stored if message.status != "streaming"]
        results = await results_in(self._gateway.store, user_id, stored)
        await send_json(send, 200, ui_messages(ended, results))


def ui_messages(path: Sequence[StoredMessage], results: Mapping[int, Results]) -> list[dict[str, Any]]:
    """Return the messages as the AI SDK stores them. A reply that continues another one is a step of it.

    results: of the tool calls, by the id of their message.
    """
    told: list[dict[str, Any]] = []
    role_of = {message.id: message.role for message in path}
    for message in path:
        parts = _ui_parts(message, results.get(message.id, {}))
        if message.role == "assistant" and role_of.get(message.parent_id or 0) == "assistant":
            told[-1]["parts"] += [{"type": "step-start"}, *parts]
        else:
            told.append({"id": message.uuid, "role": message.role, "parts": parts})
    return told


def _ui_parts(message: StoredMessage, results: Results) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if message.reasoning:
        parts.append({"type": "reasoning", "text": message.reasoning, "state": "done"})
    if message.parts:
        parts += map(_ui_part, message.parts)
    elif message.content:
        text: dict[str, Any] = {"type": "text", "text": message.content}
        parts.append(text if message.role == "user" else {**text, "state": "done"})
    for call in message.tool_calls:
        named = {"type": f"tool-{call.name}", "toolCallId": call.id}
        result = results.get(call.id, {"state": "input-available"})
        parts.append({**named, "input": readable(call.arguments), **result})
    return parts


def _ui_part(part: Part) -> dict[str, Any]:
    """Return a part as the page sent it: it sends it again with the next question."""
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(media_type, encoded):
            return _ui_file(media_type, encoded)
        case Audio(format, encoded):
            return _ui_file("audio/mpeg" if format == "mp3" else "audio/wav", encoded)
        case File(name, media_type, encoded):
            return {**_ui_file(media_type, encoded), "filename": name}


def _ui_file(media_type: str, encoded: str) -> dict[str, Any]:
    return {"type": "file", "mediaType": media_type, "url": f"data:{media_type};base64,{encoded}"}
