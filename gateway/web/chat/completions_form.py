"""OpenAI's older `POST /v1/completions`, which continues a text without a chat template."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.contract.branches import Branch
from gateway.contract.error_codes import error_of
from gateway.contract.misfits import misfit
from gateway.contract.model_limits import check_sampling
from gateway.contract.record import replace
from gateway.contract.requests import Sampling, Turn
from gateway.contract.store import StoredMessage
from gateway.core.question import Question
from gateway.dialects.completions import Completions, completion_json
from gateway.web.chat.agent_sessions import agent_session
from gateway.web.chat.forms import Asked, Post, begin
from gateway.web.chat.model_api import ApiForm, ModelApi
from gateway.web.chat.openai_form import StreamOptions
from gateway.web.chat.whole_conversations import answering_model
from gateway.web.chat.whole_replies import until_ended
from gateway.web.http.asgi import Scope, Send, connection_of, header
from gateway.web.http.bodies import MAX_OPTIONS_BYTES, Seed, Stop, TokenLimit, parse
from gateway.web.http.content_field import check_chars
from gateway.web.http.large_bodies import unhurried
from gateway.web.http.problems import send_json
from gateway.web.services import Services

MAX_PROMPTS = 16
DEFAULT_MAX_TOKENS = 16
"""OpenAI's default. Without one, many models would go on until their context is full."""

_REFUSED = {"echo": (False,), "suffix": ("",), "logprobs": (), "n": (1,), "best_of": (1,)}
"""Fields that would change the shape of the response, with the values that are accepted besides null."""

_PROMPT: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "minItems": 1,
            "maxItems": MAX_PROMPTS,
        },
    ]
}


def _refused_properties(schema: dict[str, Any]) -> None:
    for name, accepted in _REFUSED.items():
        schema["properties"][name] = {"enum": [None, *accepted]}


class TextBody(BaseModel):
    """Fields that are not listed are passed to the model server unchanged, as for `extra_body`.

    prompt: a text, or a list of at most 16, each of which gets a choice. A stream takes one.
    """

    model_config = ConfigDict(extra="allow", strict=True, json_schema_extra=_refused_properties)

    prompt: Annotated[Any, Field(json_schema_extra=_PROMPT)]
    model: Annotated[str | None, Field(max_length=256)] = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: TokenLimit | None = None
    temperature: Annotated[float | None, Field(ge=0, le=100, allow_inf_nan=False)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False)] = None
    stop: Stop = None
    seed: Seed | None = None

    @model_validator(mode="after")
    def _is_supported(self) -> "TextBody":
        extra = self.model_extra or {}
        for name, accepted in _REFUSED.items():
            if (value := extra.get(name)) is not None and value not in accepted:
                raise misfit(name, "is not supported")
        if len(msgspec.json.encode(self.options)) > MAX_OPTIONS_BYTES:
            raise ValueError(f"fields for the model server must be at most {MAX_OPTIONS_BYTES} bytes of JSON")
        return self

    @property
    def options(self) -> dict[str, Any]:
        extra = self.model_extra or {}
        return {name: value for name, value in extra.items() if value is not None and name not in _REFUSED}

    @property
    def prompts(self) -> Sequence[str]:
        """Raises Unprocessable, naming the field."""
        said = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        if not isinstance(said, list) or not said:
            raise misfit("prompt", "must be a text or a list of texts")
        if not all(isinstance(text, str) for text in said):
            raise misfit("prompt", "must be a text or a list of texts: token ids are not supported")
        if not all(said):
            raise misfit("prompt", "must not be empty")
        if len(said) > (1 if self.stream else MAX_PROMPTS):
            most = "one text for a stream" if self.stream else f"at most {MAX_PROMPTS} texts"
            raise misfit("prompt", f"must be {most}")
        return said

    def sampling(self) -> Sampling:
        """Return the settings. Raises Unprocessable if one is outside of the limits of check_sampling."""
        limit = self.max_tokens or DEFAULT_MAX_TOKENS
        sampling = Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=None if limit == -1 else limit,
            stop=self.stop,
            seed=self.seed,
            options=self.options,
        )
        check_sampling(sampling, options="")
        return sampling


class TextForm:
    """Form of one request.

    streams: True if the request asks for a stream. prompts: all of them; the question has the first. Both are
    valid after `read`.
    """

    def __init__(self) -> None:
        self.streams = False
        self.prompts: Sequence[str] = ()

    async def read(self, gateway: Services, post: Post) -> Asked:
        """Parse the body. Raises Unprocessable and NotFound, as CompletionForm does."""
        body = await unhurried(len(post.body), partial(parse, post.body, TextBody))
        self.streams, self.prompts = bool(body.stream), body.prompts
        for prompt in self.prompts:
            check_chars(prompt, gateway.max_content_chars, "prompt")
        if len(self.prompts) > 1 and header(post.scope, b"idempotency-key") is not None:
            raise misfit("prompt", "must be one text for a request with an Idempotency-Key")
        session_id, thread = await agent_session(gateway, post, "openai")
        question = Question(
            user_id=post.user_id,
            content=self.prompts[0],
            turns=[Turn("user", self.prompts[0])],
            raw=True,
            branch=Branch(None, "now"),
            session_id=session_id,
            thread=thread,
            model=body.model,
            sampling=body.sampling(),
        )
        include_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
        return Asked(question, Completions(answering_model(gateway, body.model), include_usage=include_usage))

    def whole(self, reply: StoredMessage, stream_id: str) -> dict[str, Any]:
        return completion_json([reply])


class TextCompletions(ModelApi):
    """`POST /v1/completions`. Several prompts are answered one after the other."""

    def __init__(self, gateway: Services) -> None:
        super().__init__(gateway, TextForm)

    async def _answer_whole(
        self, scope: Scope, send: Send, form: ApiForm, asked: Asked, stream_id: str
    ) -> None:
        assert isinstance(form, TextForm)  # noqa: S101 - it was made by __init__
        gateway, first = self._gateway, stream_id
        replies: list[StoredMessage] = []
        for prompt in form.prompts:
            if replies:
                question = replace(asked.question, content=prompt, turns=[Turn("user", prompt)])
                stream_id = await begin(gateway, replace(asked, question=question))
            if not await until_ended(gateway, stream_id, asked.question.user_id, connection_of(scope)):
                return  # the client has disconnected
            reply = await gateway.store.reply(asked.question.user_id, stream_id)
            if reply.error is not None:
                raise error_of(reply.error.code, reply.error.message, reply.error.retryable)
            replies.append(reply)
        await send_json(send, 200, completion_json(replies), {"sluice-stream-id": first})
