"""`/api/admin/devices`: lists, adds and removes registered devices."""

from datetime import datetime
from typing import Annotated

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.contract.devices import StoredDevice
from gateway.contract.errors import NotFound
from gateway.contract.keys import USER_PATTERN
from gateway.web.api.dependencies import ActorIs, Gateway
from gateway.web.http.bodies import parse
from gateway.web.http.endpoint import read_request

NAME_PATTERN = r"^[A-Za-z0-9_.-]{1,64}$"


class NewDeviceBody(BaseModel):
    """A device to register. user: its owner; `local` as long as there are no API keys."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=NAME_PATTERN, description="The name in its MQTT topics.")]
    user: Annotated[str, Field(pattern=f"^{USER_PATTERN}$")]


class DeviceView(BaseModel):
    name: Annotated[str, Field(description="The name in its MQTT topics.")]
    user: str
    created_at: datetime


async def list_devices(gateway: Gateway) -> list[DeviceView]:
    return [_view(device) for device in await gateway.devices.devices()]


async def add_device(request: Request, gateway: Gateway, actor: ActorIs) -> DeviceView:
    body = parse(await read_request(gateway, request.scope, request.receive), NewDeviceBody)
    return _view(await gateway.devices.add_device(body.name, body.user, actor))


async def remove_device(gateway: Gateway, actor: ActorIs, name: str) -> Response:
    if not await gateway.devices.remove_device(name, actor):
        raise NotFound("No such device.")
    return Response(status_code=204)


def _view(device: StoredDevice) -> DeviceView:
    return DeviceView(name=device.name, user=device.user_id, created_at=device.created_at)
