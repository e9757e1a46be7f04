"""Bodies that are described otherwise than they are read."""

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
    conversation_id: Annotated[Any, sometimes("A session's uuid, to go on with it.")]


class WholeExchange(BaseModel):
    """A question and its reply."""

    user_message: Message
    assistant_message: Message
