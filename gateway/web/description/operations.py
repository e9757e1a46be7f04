"""The operations that stand ahead of FastAPI, which so knows nothing of them."""

from typing import Any

from gateway.dialects.registry import DIALECTS, LAM, LUNAR, OPENAI, PRINTER, WORDS
from gateway.web.chat.frontend_forms import WordsBody
from gateway.web.chat.openai_form import CompletionBody
from gateway.web.description import problems
from gateway.web.description.bodies import LunarBody, PrinterBody, WholeExchange
from gateway.web.description.openai_objects import ChatCompletion, Model, ModelList
from gateway.web.description.problems import refusals
from gateway.web.description.schemas import body_of, json_content, reference
from gateway.web.description.streams import session_events, stream_of
from gateway.web.http.bodies import MessageBody
from gateway.web.http.paths import SESSION_PATH, STREAM_PATHS, TEMPLATE_PATH

Operation = dict[str, Any]

# What keeps a reply from beginning: the body, who asks, and nobody who could answer.
_BODY = (400, 408, 413, 415)
_CALLER = (401, 403, 429)
_NOBODY = (502, 503, 504)

_STRING = {"type": "string"}
_SESSION_NAME = {"type": "string", "minLength": 1, "maxLength": 300, "description": "Its id, uuid or key."}
_TICKET = {
    "name": "ticket",
    "in": "query",
    "description": "For an EventSource, which cannot send headers, instead of a key.",
    "schema": _STRING,
}
_FORMAT = {
    "name": "format",
    "in": "query",
    "description": "Another dialect for the answer.",
    "schema": {"type": "string", "enum": list(DIALECTS)},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and body within 24 hours never make a second reply.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_RESUMABLE = {
    "name": "Sluice-Resumable",
    "in": "header",
    "description": "`1`: the reply goes on when its reader drops.",
    "schema": _STRING,
}
_SLUICE_SESSION = {
    "name": "Sluice-Session",
    "in": "header",
    "description": "The session to go on with: its id, key or uuid. A new one starts without it.",
    "schema": _STRING,
}
_LAST_EVENT_ID: Operation = {
    "description": "The last event that was read; from the beginning without it.",
    "schema": {"type": "string", "pattern": r"^([0-9]{1,18}-[0-9]{1,18})?$"},
    "example": "7-42",
}
_SENT_AGAIN = {
    "name": "Last-Event-ID",
    "in": "header",
    **_LAST_EVENT_ID,
    "description": "With the Idempotency-Key of a request that is sent again: goes on behind that event.",
}
_ASKING = [_FORMAT, _IDEMPOTENCY_KEY, _SENT_AGAIN, _RESUMABLE]
_NOTHING_MORE = {"204": {"description": "There is nothing more; an EventSource stops coming back."}}


def ahead_of_fastapi() -> dict[str, dict[str, Operation]]:
    """Operations by path and method."""
    described = {
        "/api/chat/stream": {"post": _chat()},
        "/api/v1/chat/unified/stream": {"post": _words()},
        "/v1/chat/completions": {"post": _completions()},
        "/api/v1/inference/stream": {"post": _inference()},
        "/v1/models": {"get": _models()},
        "/v1/models/{model}": {"get": _model()},
        "/api/chatbot/messages": {"post": _whole_message()},
        f"{SESSION_PATH}{{session_id}}/events": {"get": _session_events()},
        f"{TEMPLATE_PATH}{{template_id}}/test": {"post": _template_test()},
    }
    for path, name in zip(STREAM_PATHS, ("message_stream", "chatbot_message_stream"), strict=True):
        described[path] = {"post": _message_stream(name)}
        described[f"{path}/{{stream_id}}"] = {"get": _resume(f"resume_{name}")}
    return described


def _message_stream(operation_id: str) -> Operation:
    return _operation(
        operation_id,
        "Ask, and read the reply as it comes",
        "Server-Sent Events: `metadata` first, then `chunk`, `reasoning`, `tool_call` and `progress` as they "
        "happen, and exactly one of `done` and `error` last. A comment line `: ping` breaks a silence.",
        body_of(MessageBody),
        _ASKING,
        {
            "200": stream_of(LAM),
            **_NOTHING_MORE,
            **refusals(*_BODY, *_CALLER, 404, 409, 422, *_NOBODY, shape=problems.STREAM),
        },
    )


def _resume(operation_id: str) -> Operation:
    return _operation(
        operation_id,
        "Read on behind an event",
        "Whether the reply runs or has ended: no character lost, none twice. 204 when its end was read.",
        {},
        [
            _path_id("stream_id", {"type": "string"}),
            {"name": "Last-Event-ID", "in": "header", **_LAST_EVENT_ID},
            {"name": "last_event_id", "in": "query", **_LAST_EVENT_ID},
            _FORMAT,
            _TICKET,
        ],
        {
            "200": stream_of(LAM),
            **_NOTHING_MORE,
            **refusals(*_CALLER, 400, 404, 422, 503, shape=problems.STREAM),
        },
        tag="streams",
    )


def _whole_message() -> Operation:
    return _operation(
        "message",
        "Ask, and wait for the whole reply",
        "The same as the stream, answered when the reply has ended.",
        body_of(MessageBody),
        [_IDEMPOTENCY_KEY, _FORMAT],
        {
            "200": {"description": "Both messages as they are kept", "content": json_content(WholeExchange)},
            **refusals(*_BODY, *_CALLER, 404, 409, 422),
            **refusals(400, *_NOBODY, shape=problems.FAILED_REPLY),
        },
    )


def _chat() -> Operation:
    body = {"oneOf": [reference(LunarBody), reference(PrinterBody)]}
    return _operation(
        "chat_stream",
        "Ask as the lunar and printer frontends do",
        "With `message` the answer is lunar's, with `user_message` printer's; one of the two must be there. "
        "A lunar conversation goes on by the cookie `sluice_conversation`.",
        {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}},
        _ASKING,
        {
            "200": stream_of(LUNAR, PRINTER),
            **_NOTHING_MORE,
            **refusals(*_BODY, *_CALLER, 404, 409, 422, *_NOBODY),
        },
        tag="frontends",
    )


def _words() -> Operation:
    return _operation(
        "words_stream",
        "Ask as the words frontend does",
        "Every `data:` is a string to append. The latest conversation of that `user_id`, among the caller's "
        "own, goes on for 12 hours.",
        body_of(WordsBody),
        _ASKING,
        {
            "200": stream_of(WORDS),
            **_NOTHING_MORE,
            **refusals(*_BODY, *_CALLER, 409, 422, *_NOBODY, shape=problems.STREAM),
        },
        tag="frontends",
    )


def _completions() -> Operation:
    answer = stream_of(OPENAI)
    answer["content"] |= json_content(ChatCompletion)
    return _operation(
        "chat_completion",
        "OpenAI's chat completions",
        "A stream with `stream: true`, else one object. Fields that are not listed go to the model server.",
        body_of(CompletionBody),
        [*_ASKING, _SLUICE_SESSION],
        {
            "200": answer,
            **_NOTHING_MORE,
            **refusals(*_BODY, *_CALLER, 404, 409, *_NOBODY, shape=problems.OPENAI),
        },
        tag="openai",
    )


def _inference() -> Operation:
    return _operation(
        "inference_stream",
        "OpenAI's chat completions, always as a stream",
        "The body of `/v1/chat/completions`, whatever it says of `stream`.",
        body_of(CompletionBody),
        [*_ASKING, _SLUICE_SESSION],
        {
            "200": stream_of(OPENAI),
            **_NOTHING_MORE,
            **refusals(*_BODY, *_CALLER, 404, 409, *_NOBODY, shape=problems.OPENAI),
        },
        tag="openai",
    )


def _models() -> Operation:
    return _operation(
        "models",
        "What can be asked for in the current mode",
        "The default model first.",
        {},
        [],
        {
            "200": {"description": "The models", "content": json_content(ModelList)},
            **refusals(*_CALLER, 503, shape=problems.OPENAI),
        },
        tag="openai",
    )


def _model() -> Operation:
    return _operation(
        "model",
        "One model",
        "Its name may hold slashes.",
        {},
        [_path_id("model", _STRING)],
        {
            "200": {"description": "The model", "content": json_content(Model)},
            **refusals(*_CALLER, 404, 503, shape=problems.OPENAI),
        },
        tag="openai",
    )


def _session_events() -> Operation:
    return _operation(
        "session_events",
        "What happens in a session, for its other tabs",
        "Server-Sent Events without an end: questions, replies that begin, replies that end.",
        {},
        [_path_id("session_id", _SESSION_NAME), _TICKET],
        {
            "200": session_events(),
            **refusals(*_CALLER, 404, 503),
        },
        tag="sessions",
    )


def _template_test() -> Operation:
    return _operation(
        "test_template",
        "Try a template, and keep nothing",
        "Answered like a message.",
        body_of(MessageBody),
        [_path_id("template_id", {"type": "integer", "minimum": 1}), _FORMAT],
        {
            "200": stream_of(LAM),
            **refusals(*_BODY, *_CALLER, 404, 422, *_NOBODY, shape=problems.STREAM),
        },
        tag="templates",
    )


def _operation(
    operation_id: str,
    summary: str,
    description: str,
    body: Operation,
    parameters: list[Operation],
    responses: Operation,
    *,
    tag: str = "messages",
) -> Operation:
    return {
        "tags": [tag],
        "operationId": operation_id,
        "summary": summary,
        "description": description,
        "parameters": parameters,
        **body,
        "responses": responses,
    }


def _path_id(name: str, schema: Operation) -> Operation:
    return {"name": name, "in": "path", "required": True, "schema": schema}
