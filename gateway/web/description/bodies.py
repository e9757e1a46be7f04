"""Models of bodies that only the OpenAPI document uses."""

from typing import Annotated, Any

from pydantic import BaseModel

from gateway.web.api.views import Message
from gateway.web.description.schemas import sometimes
from gateway.web.http.bodies import Said


class LunarBody(BaseModel):
    """Other fields are ignored."""

    message: Said
    user_message: Annotated[None, sometimes()]


class PrinterBody(BaseModel):
    """Other fields are ignored."""

    user_message: Said
    message: Annotated[None, sometimes()]
    conversation_id: Annotated[Any, sometimes("Uuid of a session to continue.")]


class WholeExchange(BaseModel):
    """A user's message and its reply."""

    user_message: Message
    assistant_message: Message
