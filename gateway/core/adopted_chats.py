"""Sends devices the replies to their chats that this gateway has taken over."""

from gateway.contract.adoption import OrphanedReply
from gateway.contract.ingress import Ingress
from gateway.contract.store import MessageStore
from gateway.core.device_chats import KEY


class AdoptedChats:
    """Passes them to the ingress: the device may have received a part, and does not ask again by itself."""

    def __init__(self, store: MessageStore, ingress: Ingress) -> None:
        self._store = store
        self._ingress = ingress

    def take(self, key: str, reply: OrphanedReply) -> None:
        """See OnChat."""
        if (chat := KEY.fullmatch(key)) is None:
            return

        async def text() -> str:
            question = await self._store.message(reply.user_id, reply.exchange.user_message_id)
            return question.content

        self._ingress.go_on(chat["device"], chat["id"], text)
