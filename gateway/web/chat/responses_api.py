"""OpenAI's Responses: make one, read it whole or as a stream, stop it, and list what it was asked."""

from contextlib import suppress
from urllib.parse import parse_qs

from gateway.contract.error_codes import error_of
from gateway.contract.errors import NotFound
from gateway.contract.events import Failed
from gateway.contract.misfits import misfit
from gateway.web.chat.follow import follow
from gateway.web.chat.forms import Asked
from gateway.web.chat.kept_responses import (
    KeptResponse,
    input_of,
    kept_response,
    object_of,
    stream_of_response,
    told_object,
)
from gateway.web.chat.model_api import ApiForm, ModelApi
from gateway.web.chat.responses_form import ResponsesForm
from gateway.web.chat.whole_replies import until_ended, waiting
from gateway.web.door.callers import caller_of
from gateway.web.http.asgi import Receive, Scope, Send, connection_of
from gateway.web.http.endpoint import path_id
from gateway.web.http.problems import send_json
from gateway.web.services import Services


class CreateResponse(ModelApi):
    """`POST /v1/responses`"""

    def __init__(self, gateway: Services) -> None:
        super().__init__(gateway, ResponsesForm)

    async def _answer_whole(
        self, scope: Scope, send: Send, form: ApiForm, asked: Asked, stream_id: str
    ) -> None:
        gateway, question = self._gateway, asked.question
        headers = {"sluice-stream-id": stream_id}
        if question.unattended:
            kept = await kept_response(gateway, question.user_id, stream_id)
            await send_json(send, 200, await object_of(gateway, question.user_id, kept), headers)
        elif not asked.kept:
            await self._answer_unkept(scope, send, form, asked, stream_id)
        elif await until_ended(gateway, stream_id, question.user_id, connection_of(scope)):
            kept = await kept_response(gateway, question.user_id, stream_id)
            if (error := kept.message.error) is not None:
                raise error_of(error.code, error.message, error.retryable)
            await send_json(send, 200, await told_object(gateway, question.user_id, kept), headers)

    async def _answer_unkept(
        self, scope: Scope, send: Send, form: ApiForm, asked: Asked, stream_id: str
    ) -> None:
        gateway = self._gateway
        assert isinstance(form, ResponsesForm)  # noqa: S101 - it was made by __init__
        encoder = form.dialect.encoder(stream_id)
        run = gateway.runs.find(stream_id, asked.question.user_id)
        with gateway.runs.following(run) as follower, waiting(connection_of(scope), follower) as client:
            while (events := await follower.read()) is not None:
                for event in events:
                    if isinstance(event, Failed):
                        raise error_of(event.code, event.message, event.retryable)
                    encoder.frames(event)
        if not client.gone:
            await send_json(send, 200, encoder.response, {"sluice-stream-id": stream_id})


class _KeptEndpoint:
    """An endpoint of one response that is kept."""

    def __init__(self, gateway: Services) -> None:
        self._gateway = gateway

    async def _kept(self, scope: Scope) -> KeptResponse:
        stream_id = stream_of_response(path_id(scope))
        return await kept_response(self._gateway, caller_of(scope).user_id, stream_id)

    async def _send_object(self, scope: Scope, send: Send, kept: KeptResponse) -> None:
        await send_json(send, 200, await object_of(self._gateway, caller_of(scope).user_id, kept))


class ReadResponse(_KeptEndpoint):
    """`GET /v1/responses/{id}`: the object, or with `?stream=true` its events behind `starting_after`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        streams = query.get("stream", ["false"])[-1].lower() in ("true", "1")
        after = _number("starting_after", query["starting_after"][-1]) if "starting_after" in query else None
        kept = await self._kept(scope)
        if streams:
            dialect = kept.dialect(after, live=self._is_live(scope, kept))
            user_id = caller_of(scope).user_id
            await follow(self._gateway, scope, send, dialect, kept.stream_id, user_id)
        else:
            await self._send_object(scope, send, kept)

    def _is_live(self, scope: Scope, kept: KeptResponse) -> bool:
        """Return whether its journal is held."""
        try:
            self._gateway.runs.find(kept.stream_id, caller_of(scope).user_id)
        except NotFound:
            return False
        return True


class CancelResponse(_KeptEndpoint):
    """`POST /v1/responses/{id}/cancel`"""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kept = await self._kept(scope)
        with suppress(NotFound):  # it was deleted meanwhile
            await self._gateway.stops.stop(kept.stream_id, caller_of(scope).user_id)
        await self._send_object(scope, send, await self._kept(scope))


class DeleteResponse(_KeptEndpoint):
    """`DELETE /v1/responses/{id}`: stops it, and deletes it with its question."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway, user_id = self._gateway, caller_of(scope).user_id
        kept = await self._kept(scope)
        with suppress(NotFound):  # it was deleted meanwhile
            await gateway.stops.stop(kept.stream_id, user_id)
        await gateway.store.delete_reply(user_id, kept.stream_id)
        gateway.runs.ended.forget(kept.stream_id)
        await send_json(send, 200, {"id": f"resp_{kept.stream_id}", "object": "response", "deleted": True})


class InputItems(_KeptEndpoint):
    """`GET /v1/responses/{id}/input_items`: the latest first, unless `order=asc`; `after`, `limit`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        limit = _number("limit", query.get("limit", ["20"])[-1])
        kept = await self._kept(scope)
        given = await input_of(self._gateway, caller_of(scope).user_id, kept)
        items = [{"id": f"in_{kept.stream_id}_{at}", **item} for at, item in enumerate(given)]
        if query.get("order", ["desc"])[-1] != "asc":
            items.reverse()
        if "after" in query:
            ids = [item["id"] for item in items]
            if query["after"][-1] not in ids:
                raise misfit("after", "must be the id of an item of this response")
            items = items[ids.index(query["after"][-1]) + 1 :]
        page = items[: min(max(limit, 1), 100)]
        told = {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(items) > len(page),
        }
        await send_json(send, 200, told)


def _number(field: str, said: str) -> int:
    if not (said.isascii() and said.isdecimal() and len(said) <= 12):
        raise misfit(field, "must be a number from 0 on")
    return int(said)
