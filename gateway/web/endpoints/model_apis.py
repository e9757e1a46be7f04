"""Endpoints of Anthropic's API, Ollama's API and AG-UI."""

from gateway.dialects.ag_ui import AgUi
from gateway.dialects.ai_sdk import AiSdk
from gateway.dialects.anthropic import Anthropic
from gateway.web.chat.ag_ui_form import RunBody, RunForm
from gateway.web.chat.ai_sdk_chats import ChatMessages, ChatResume, ChatStop
from gateway.web.chat.ai_sdk_form import UiChatBody
from gateway.web.chat.anthropic_count import CountTokens
from gateway.web.chat.anthropic_form import MessagesBody, MessagesForm
from gateway.web.chat.api_chat import ApiChatForm
from gateway.web.chat.embeddings import OllamaEmbed, OllamaEmbedBody, OllamaEmbeddings, OllamaEmbeddingsBody
from gateway.web.chat.model_api import ModelApi, StreamApi
from gateway.web.chat.ollama_form import OllamaChatBody, OllamaForm, OllamaGenerateBody
from gateway.web.chat.ollama_models import LoadedModels, ModelTags, ShowBody, ShowModel, Version
from gateway.web.description.parameters import ASKING, SLUICE_SESSION
from gateway.web.description.problems import NOBODY
from gateway.web.description.streams import NOTHING_MORE, ndjson_of, object_or, stream_of
from gateway.web.http.endpoint import PUBLIC, AsgiEndpoint, Endpoint, body_with_parts
from gateway.web.http.error_shapes import ANTHROPIC, API_CHAT, OLLAMA, PLAIN_TEXT, PROBLEM

UI_MESSAGES = {
    "description": "UIMessages",
    "content": {
        "application/json": {
            "schema": {"type": "array", "items": {"type": "object", "required": ["id", "role", "parts"]}}
        }
    },
}

MODEL_APIS: tuple[Endpoint, ...] = (
    AsgiEndpoint(
        method="POST",
        path="/v1/messages",
        handler=lambda gateway: ModelApi(gateway, MessagesForm),
        name="anthropic_message",
        summary="Anthropic's messages",
        description="A stream with `stream: true`, else one object.",
        tag="anthropic",
        errors=ANTHROPIC,
        body=MessagesBody,
        max_body_bytes=body_with_parts,
        parameters=(*ASKING, SLUICE_SESSION),
        answers={
            "200": object_or(
                stream_of(Anthropic()),
                required=(
                    "id",
                    "type",
                    "role",
                    "content",
                    "stop_reason",
                    "usage",
                ),
            )
        },
        refuses=(404, 409, 529, *NOBODY),
    ),
    AsgiEndpoint(
        method="POST",
        path="/v1/messages/count_tokens",
        handler=CountTokens,
        name="anthropic_count_tokens",
        summary="Count the tokens of Anthropic's messages",
        description="By llama.cpp's chat template and tokenizer; 501 where the model is not llama.cpp's own, "
        "also over MQTT. Nothing is generated or stored.",
        tag="anthropic",
        errors=ANTHROPIC,
        body=MessagesBody,
        max_body_bytes=body_with_parts,
        answers={"200": object_or(required=("input_tokens",))},
        refuses=(404, 501, 529, *NOBODY),
    ),
    AsgiEndpoint(
        method="POST",
        path="/api/chat",
        handler=lambda gateway: ModelApi(gateway, ApiChatForm),
        name="api_chat",
        summary="Ollama's chat, and that of the AI SDK's pages",
        description="A body with `message` or `messages[].parts` is the AI SDK's and answered with its UI "
        "message stream; `id` names the conversation. Else a line of JSON for each piece as Ollama's, unless "
        "`stream` is false. Errors are plain text for the AI SDK, which shows them as they are.",
        tag="ollama",
        errors=API_CHAT,
        body=(OllamaChatBody, UiChatBody),
        any_media_type=True,
        max_body_bytes=body_with_parts,
        parameters=(*ASKING, SLUICE_SESSION),
        answers={
            "200": object_or(
                ndjson_of(),
                required=(
                    "model",
                    "created_at",
                    "message",
                    "done",
                ),
            )
        },
        refuses=(404, 409, 422, *NOBODY),
    ),
    AsgiEndpoint(
        method="POST",
        path="/api/generate",
        handler=lambda gateway: ModelApi(gateway, lambda: OllamaForm("generate")),
        name="ollama_generate",
        summary="Ollama's completion of a prompt",
        description="A stream of JSON lines, or one object with `stream: false`.",
        tag="ollama",
        errors=OLLAMA,
        body=OllamaGenerateBody,
        any_media_type=True,
        max_body_bytes=body_with_parts,
        parameters=(*ASKING, SLUICE_SESSION),
        answers={
            "200": object_or(
                ndjson_of(),
                required=(
                    "model",
                    "created_at",
                    "response",
                    "done",
                ),
            )
        },
        refuses=(404, 409, *NOBODY),
    ),
    AsgiEndpoint(
        method="POST",
        path="/api/embed",
        handler=OllamaEmbed,
        name="ollama_embed",
        summary="Ollama's embeddings",
        description="One vector for each text. 501 if no model server or worker makes embeddings.",
        tag="ollama",
        errors=OLLAMA,
        body=OllamaEmbedBody,
        any_media_type=True,
        max_body_bytes=body_with_parts,
        answers={"200": object_or(required=("model", "embeddings"))},
        refuses=(404, 501, *NOBODY),
    ),
    AsgiEndpoint(
        method="POST",
        path="/api/embeddings",
        handler=OllamaEmbeddings,
        name="ollama_embeddings",
        summary="Ollama's older embeddings, of one text",
        description="501 if no model server or worker makes embeddings.",
        tag="ollama",
        errors=OLLAMA,
        body=OllamaEmbeddingsBody,
        any_media_type=True,
        max_body_bytes=body_with_parts,
        answers={"200": object_or(required=("embedding",))},
        refuses=(404, 501, *NOBODY),
    ),
    AsgiEndpoint(
        method="GET",
        path="/api/tags",
        handler=ModelTags,
        name="ollama_tags",
        summary="Ollama's list of models",
        description="Names and details of the models of the current mode.",
        tag="ollama",
        errors=OLLAMA,
        answers={"200": object_or(required=("models",))},
        refuses=(503,),
    ),
    AsgiEndpoint(
        method="GET",
        path="/api/ps",
        handler=LoadedModels,
        name="ollama_ps",
        summary="Ollama's list of loaded models",
        description="All models of the current mode. `keep_alive` is ignored.",
        tag="ollama",
        errors=OLLAMA,
        answers={"200": object_or(required=("models",))},
        refuses=(503,),
    ),
    AsgiEndpoint(
        method="POST",
        path="/api/show",
        handler=ShowModel,
        name="ollama_show",
        summary="Ollama's description of a model",
        description="Capabilities, and the known fields of `model_info`.",
        tag="ollama",
        errors=OLLAMA,
        body=ShowBody,
        any_media_type=True,
        answers={
            "200": object_or(
                required=(
                    "details",
                    "model_info",
                    "capabilities",
                )
            )
        },
        refuses=(404, 503),
    ),
    AsgiEndpoint(
        method="GET",
        path="/api/version",
        handler=Version,
        name="ollama_version",
        summary="The version of Ollama whose API is implemented",
        description="Digits and dots.",
        tag="ollama",
        scopes=PUBLIC,
        errors=OLLAMA,
        answers={"200": object_or(required=("version",))},
    ),
    AsgiEndpoint(
        method="POST",
        path="/api/ag-ui",
        handler=lambda gateway: StreamApi(gateway, RunForm),
        name="ag_ui_run",
        summary="Run an AG-UI agent",
        description="`threadId` names a conversation of the caller.",
        tag="ag-ui",
        errors=PROBLEM,
        body=RunBody,
        max_body_bytes=body_with_parts,
        parameters=ASKING,
        answers={"200": stream_of(AgUi())},
        refuses=(404, 409, 422, *NOBODY),
    ),
    AsgiEndpoint(
        method="GET",
        path="/api/chat/{chat_id}/stream",
        handler=ChatResume,
        name="ai_sdk_resume",
        summary="The running reply of an AI SDK chat, from its beginning",
        description="204 where nothing runs, also for a chat that is unknown.",
        tag="ai-sdk",
        errors=PLAIN_TEXT,
        answers={"200": stream_of(AiSdk()), **NOTHING_MORE},
    ),
    AsgiEndpoint(
        method="POST",
        path="/api/chat/{chat_id}/stop",
        handler=ChatStop,
        name="ai_sdk_stop",
        summary="Stop the running reply of an AI SDK chat",
        description="Its text so far is kept. The answer is the same where nothing runs.",
        tag="ai-sdk",
        errors=PLAIN_TEXT,
        rate_limited=False,
        answers={"200": object_or(required=("stopped",))},
    ),
    AsgiEndpoint(
        method="GET",
        path="/api/chat/{chat_id}/messages",
        handler=ChatMessages,
        name="ai_sdk_messages",
        summary="The messages of an AI SDK chat, for a page that loads",
        description="Oldest first, as `useChat` takes them; a running reply is left out.",
        tag="ai-sdk",
        errors=PLAIN_TEXT,
        answers={"200": UI_MESSAGES},
    ),
)
