"""`POST /api/chat`, where two kinds of clients ask: the AI SDK's pages and Ollama's. The body tells which."""

from typing import Any

from gateway.contract.store import StoredMessage
from gateway.web.chat.ai_sdk_form import UiChatForm, is_ui_chat
from gateway.web.chat.forms import Asked, Post
from gateway.web.chat.ollama_form import OllamaForm
from gateway.web.http.error_shapes import OF_AI_SDK
from gateway.web.services import Services


class ApiChatForm:
    """One request's form."""

    def __init__(self) -> None:
        self._form: UiChatForm | OllamaForm = OllamaForm("chat")

    @property
    def streams(self) -> bool:
        return self._form.streams

    async def read(self, gateway: Services, post: Post) -> Asked:
        """As the form of the client's kind."""
        if is_ui_chat(post.body):
            post.scope[OF_AI_SDK] = True
            self._form = UiChatForm()
        return await self._form.read(gateway, post)

    def whole(self, reply: StoredMessage, stream_id: str) -> dict[str, Any]:
        return self._form.whole(reply, stream_id)
