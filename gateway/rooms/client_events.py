"""The events that clients send, and their validation."""

from typing import Annotated, Any

import msgspec

from gateway.contract.errors import TooLarge, Unprocessable
from gateway.contract.misfits import misfit
from gateway.contract.user_names import fault_of
from gateway.dialects.json_encoding import json_bytes

MAX_EVENT_BYTES = 64 * 1024
"""Maximum size of an event's data as JSON."""

MAX_METADATA_BYTES = 2 * 1024

Label = str | int
"""The name of a user in open mode."""

MAX_LABEL_CHARS = 64
"""As of a device's name. The model gets no more of a name, so longer ones could be alike for it."""

RoomName = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
RowId = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
ClientId = Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | RowId


class OfRoom(msgspec.Struct, rename="camel"):
    """room_id: id, uuid or key; None: the room that was joined last."""

    room_id: RoomName | RowId | None = None


class Join(OfRoom):
    """after: id of the last message that the client has; 0: it has none; None: it needs none."""

    after: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None


class Leave(OfRoom):
    pass


class Send(OfRoom):
    """ask: None: the gateway decides whether the model is asked. id, client_id: the client's own."""

    content: Any = None
    ask: bool | None = None
    id: ClientId | None = None
    client_id: ClientId | None = None
    model: Annotated[str, msgspec.Meta(max_length=256)] | None = None


class HeardMessage(msgspec.Struct):
    """A message that the client got elsewhere."""

    content: Any = None
    role: str = "assistant"
    id: ClientId | None = None


class Broadcast(OfRoom):
    message: HeardMessage | None = None


class Typing(OfRoom):
    pass


class Presence(OfRoom):
    """room_id: None: all rooms that were joined."""

    status: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "online"
    metadata: dict[str, Any] = {}


AUTH = "auth"
"""On a plain WebSocket, an event with which a client may say who it is, first. Its data is Auth."""


class Auth(msgspec.Struct, rename="camel"):
    """The credentials and the name that a client gives. Other fields are ignored.

    Attributes:
        token, key: an API key or an issuer's token.
        ticket: for sockets.
        user_id: the user's name in open mode.
    """

    token: str | None = None
    key: str | None = None
    ticket: str | None = None
    user_id: Label | None = None

    @property
    def api_key(self) -> str | None:
        return self.token or self.key

    @property
    def label(self) -> str | None:
        """The user's name in open mode, see checked_label. Raises Unprocessable."""
        return checked_label(self.user_id)


ClientEvent = Join | Leave | Send | Broadcast | Typing | Presence

FORMS: dict[str, type[ClientEvent]] = {
    "room:join": Join,
    "room:leave": Leave,
    "message:send": Send,
    "message:broadcast": Broadcast,
    "typing:start": Typing,
    "typing:stop": Typing,
    "presence:update": Presence,
}


def auth_of(data: object) -> Auth:
    """Return the credentials and the name that a client gives. data: JSON as Python values; None: nothing.

    Raises Unprocessable if it does not fit.
    """
    try:
        return msgspec.convert({} if data is None else data, Auth)
    except msgspec.ValidationError as error:
        raise Unprocessable(f"auth does not fit: {error}.") from None


def checked_label(user_id: Label | None) -> str | None:
    """Return the name without spaces around it; None if nothing is left.

    Raises Unprocessable if it has more than MAX_LABEL_CHARS characters or a fault, see fault_of.
    """
    # Python refuses to spell out an integer of thousands of digits.
    is_huge = isinstance(user_id, int) and abs(user_id) >= 10**MAX_LABEL_CHARS
    label = "" if user_id is None or is_huge else str(user_id).strip(" ")
    if is_huge or len(label) > MAX_LABEL_CHARS:
        raise misfit("userId", f"must have at most {MAX_LABEL_CHARS} characters")
    if (fault := fault_of(label)) is not None:
        raise misfit("userId", fault)
    return label or None


def read(name: str, data: object) -> ClientEvent:
    """Return the event. data: JSON as Python values; None: an empty object.

    Raises Unprocessable if it does not fit, TooLarge.
    """
    form = FORMS.get(name)
    if name == AUTH:
        raise Unprocessable("auth must be the first event of a plain WebSocket. socket.io has an option.")
    if form is None:
        raise Unprocessable(f"There is no event {name[:60]!r}. The events are {', '.join(FORMS)}.")
    try:
        size = len(json_bytes(data))
        event = msgspec.convert({} if data is None else data, form)
    except msgspec.ValidationError as error:
        raise Unprocessable(f"{name} does not fit: {error}.") from None
    except RecursionError:
        raise Unprocessable(f"{name} does not fit: its data is nested too deeply.") from None
    if size > MAX_EVENT_BYTES:
        raise TooLarge(f"An event must have at most {MAX_EVENT_BYTES} bytes, not {size}.")
    if isinstance(event, Presence) and len(json_bytes(event.metadata)) > MAX_METADATA_BYTES:
        raise Unprocessable(f"{name} does not fit: metadata: must have at most {MAX_METADATA_BYTES} bytes.")
    return event
