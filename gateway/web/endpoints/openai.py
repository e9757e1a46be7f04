"""OpenAI's API: completions and models."""

from typing import Any

from pydantic import BaseModel

from gateway.contract.dialect import Dialect
from gateway.dialects.registry import DIALECTS
from gateway.dialects.registry import OPENAI as OPENAI_DIALECT
from gateway.web.chat.completions_form import TextBody, TextCompletions
from gateway.web.chat.embeddings import EmbeddingsBody, OpenAIEmbeddings
from gateway.web.chat.model_api import ModelApi, StreamApi
from gateway.web.chat.openai_form import CompletionBody, CompletionForm
from gateway.web.chat.openai_models import ModelList, OneModel
from gateway.web.description import openai_objects
from gateway.web.description.parameters import ASKING, SLUICE_SESSION
from gateway.web.description.problems import NOBODY
from gateway.web.description.schemas import json_content
from gateway.web.description.streams import NOTHING_MORE, stream_of
from gateway.web.http.endpoint import AsgiEndpoint, Endpoint, body_with_parts
from gateway.web.http.error_shapes import OPENAI


def _stream_or_whole(dialect: Dialect, whole: type[BaseModel]) -> dict[str, Any]:
    answer = stream_of(dialect)
    return {**answer, "content": answer["content"] | json_content(whole)}


OPENAI_API: tuple[Endpoint, ...] = (
    AsgiEndpoint(
        method="POST",
        path="/v1/chat/completions",
        handler=lambda gateway: ModelApi(gateway, CompletionForm),
        name="chat_completion",
        summary="OpenAI's chat completions",
        description="A stream with `stream: true`, else one object. Other fields are passed to the model "
        "server.",
        tag="openai",
        errors=OPENAI,
        body=CompletionBody,
        max_body_bytes=body_with_parts,
        parameters=(*ASKING, SLUICE_SESSION),
        answers={"200": _stream_or_whole(OPENAI_DIALECT, openai_objects.ChatCompletion), **NOTHING_MORE},
        refuses=(404, 409, *NOBODY),
    ),
    AsgiEndpoint(
        method="POST",
        path="/api/v1/inference/stream",
        handler=lambda gateway: StreamApi(gateway, CompletionForm),
        name="inference_stream",
        summary="OpenAI's chat completions, always as a stream",
        description="The body of `/v1/chat/completions`; its `stream` is ignored.",
        tag="openai",
        errors=OPENAI,
        body=CompletionBody,
        max_body_bytes=body_with_parts,
        parameters=(*ASKING, SLUICE_SESSION),
        answers={"200": stream_of(OPENAI_DIALECT), **NOTHING_MORE},
        refuses=(404, 409, *NOBODY),
    ),
    AsgiEndpoint(
        method="POST",
        path="/v1/completions",
        handler=TextCompletions,
        name="text_completion",
        summary="OpenAI's older completions, which continue a text",
        description="A stream with `stream: true`, else one object. Other fields are passed to the model "
        "server. 501 over MQTT.",
        tag="openai",
        errors=OPENAI,
        body=TextBody,
        max_body_bytes=body_with_parts,
        parameters=(*ASKING, SLUICE_SESSION),
        answers={
            "200": _stream_or_whole(DIALECTS["completions"], openai_objects.TextCompletion),
            **NOTHING_MORE,
        },
        refuses=(404, 409, 501, *NOBODY),
    ),
    AsgiEndpoint(
        method="POST",
        path="/v1/embeddings",
        handler=OpenAIEmbeddings,
        name="embeddings",
        summary="OpenAI's embeddings",
        description="One vector for each input. 501 if no model server or worker makes embeddings.",
        tag="openai",
        errors=OPENAI,
        body=EmbeddingsBody,
        max_body_bytes=body_with_parts,
        answers={"200": {"description": "The vectors", "content": json_content(openai_objects.Embeddings)}},
        refuses=(404, 501, *NOBODY),
    ),
    AsgiEndpoint(
        method="GET",
        path="/v1/models",
        handler=ModelList,
        name="models",
        summary="The models of the current mode",
        description="The default model first. With `anthropic-version`, in Anthropic's shape.",
        tag="openai",
        errors=OPENAI,
        answers={
            "200": {"description": "The models", "content": json_content(openai_objects.ModelList)},
        },
        refuses=(503,),
    ),
    AsgiEndpoint(
        method="GET",
        path="/v1/models/{model:path}",
        handler=OneModel,
        name="model",
        summary="One model",
        description="The name may contain slashes. With `anthropic-version`, in Anthropic's shape.",
        tag="openai",
        errors=OPENAI,
        answers={"200": {"description": "The model", "content": json_content(openai_objects.Model)}},
        refuses=(404, 503),
    ),
)
