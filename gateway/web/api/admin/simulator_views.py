"""Bodies of `POST /api/admin/simulator` and `…/say`, and the events of a simulated part."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from gateway.web.chat.session_names import SessionName

Text = Annotated[str, Field(min_length=1, max_length=2000)]


class SimulatorBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    part: Literal["device", "worker"]
    text: Annotated[Text, Field(description="The device's question, unless it is in a room.")] = (
        "What is a sluice?"
    )
    room: Annotated[
        SessionName | None,
        Field(description="A room of the caller's: the device is its member until the client disconnects."),
    ] = None


class SayBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    text: Text
    ask: Annotated[
        bool | None, Field(description="If it asks the model; null: as for other messages of the room.")
    ] = None


class PartStarted(BaseModel):
    """The first event. model: of a worker: ask for it, and the worker answers; null for a device."""

    type: Literal["started"] = "started"
    name: str
    model: str | None


class FramePassed(BaseModel):
    """One MQTT message. sent: true if the part sent it, false if it received it."""

    type: Literal["frame"] = "frame"
    sent: bool
    topic: str
    payload: Annotated[str, Field(description="JSON text, cut after 4,000 characters.")]


class PartEnded(BaseModel):
    """The last event. message: empty, or the reason of a failure."""

    type: Literal["ended"] = "ended"
    reason: Literal["answered", "time", "failed", "draining"]
    message: str


class SimulatorEvent(
    RootModel[Annotated[PartStarted | FramePassed | PartEnded, Field(discriminator="type")]]
):
    """One `data:` of a simulated part."""
