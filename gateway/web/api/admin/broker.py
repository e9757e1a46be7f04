"""`GET /api/admin/broker`: the gateway's connection to the MQTT broker, and its rights there."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field

from gateway.contract.errors import Conflict
from gateway.web.api.dependencies import Gateway


class BrokerView(BaseModel):
    connected: Annotated[bool, Field(description="True with all subscriptions granted.")]
    refused_topics: Annotated[
        Sequence[str] | None,
        Field(
            description="Topics on which the gateway may not publish. Null: the broker does not report it."
        ),
    ]


async def show_broker(gateway: Gateway) -> BrokerView:
    if gateway.broker is None:
        raise Conflict("There is no MQTT broker: set MQTT_BROKER_HOST.")
    return BrokerView(connected=gateway.broker.connected, refused_topics=await gateway.refused_topics())
