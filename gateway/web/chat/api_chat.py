"""`POST /api/chat`, where two kinds of clients ask: the AI SDK's pages and Ollama's. The body tells which."""

from functools import partial
from typing import Any

from gateway.contract.store import StoredMessage
from gateway.web.chat.ai_sdk_form import UiChatForm, is_ui_chat
from gateway.web.chat.forms import Asked, Post
from gateway.web.chat.ollama_form import OllamaForm
from gateway.web.http.error_shapes import OF_AI_SDK
from gateway.web.http.large_bodies import unhurried
from gateway.web.services import Services


class ApiChatForm:
    """Form of one request. Only Ollama's clients can ask for a whole reply."""

    def __init__(self) -> None:
        self._ollama = OllamaForm("chat")
        self.streams = True

    async def read(self, gateway: Services, post: Post) -> Asked:
        """Parse the body as the form of its client does."""
        if await unhurried(len(post.body), partial(is_ui_chat, post.body)):
            post.scope[OF_AI_SDK] = True
            return await UiChatForm().read(gateway, post)
        asked = await self._ollama.read(gateway, post)
        self.streams = self._ollama.streams
        return asked

    def whole(self, reply: StoredMessage, stream_id: str) -> dict[str, Any]:
        return self._ollama.whole(reply, stream_id)
