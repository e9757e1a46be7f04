"""Makes the services of participants from those of the gateway."""

from typing import Any

from gateway.contract.content import Content
from gateway.contract.store import StoredSession
from gateway.core.key_ring import Caller
from gateway.rooms.services import RoomServices
from gateway.web.chat.attached_parts import with_attachments
from gateway.web.chat.session_names import session_of
from gateway.web.door.credentials import Credentials
from gateway.web.http.content_field import asked_content
from gateway.web.services import Services


def room_services(gateway: Services) -> RoomServices:
    async def find(user_id: str, name: str | int) -> StoredSession:
        return await session_of(gateway.store, user_id, name)

    async def content_of(user_id: str, said: Any) -> Content:
        said = await with_attachments(gateway, user_id, said)
        return asked_content(said, gateway.max_content_chars, gateway.max_attachment_bytes)

    async def spend(caller: Caller) -> None:
        if caller.allowance is not None:
            await gateway.rates.spend(caller.allowance.requests)

    return RoomServices(
        hall=gateway.hall,
        posts=gateway.posts,
        rates=gateway.event_rates,
        session_of=find,
        is_watcher=gateway.rooms.is_watcher,
        content_of=content_of,
        spend=spend,
        renewed=Credentials(gateway).renewed,
    )
