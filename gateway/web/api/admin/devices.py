"""`/api/admin/devices`: lists and removes registered devices. `sluice devices add` registers one."""

from datetime import datetime
from typing import Annotated

from fastapi import Response
from pydantic import BaseModel, Field

from gateway.contract.errors import NotFound
from gateway.web.api.dependencies import ActorIs, Gateway


class DeviceView(BaseModel):
    name: Annotated[str, Field(description="The name in its MQTT topics.")]
    user: str
    created_at: datetime


async def list_devices(gateway: Gateway) -> list[DeviceView]:
    return [
        DeviceView(name=device.name, user=device.user_id, created_at=device.created_at)
        for device in await gateway.devices.devices()
    ]


async def remove_device(gateway: Gateway, actor: ActorIs, name: str) -> Response:
    if not await gateway.devices.remove_device(name, actor):
        raise NotFound("No such device.")
    return Response(status_code=204)
