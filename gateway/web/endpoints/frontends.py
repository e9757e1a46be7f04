"""The endpoints of the lunar, printer and words frontends."""

from gateway.dialects.registry import LUNAR, PRINTER, WORDS
from gateway.web.chat.frontend_forms import WordsBody, chat_form, words_form
from gateway.web.chat.messages import MessageStream
from gateway.web.description.bodies import LunarBody, PrinterBody
from gateway.web.description.parameters import ASKING
from gateway.web.description.problems import NOBODY
from gateway.web.description.streams import NOTHING_MORE, stream_of
from gateway.web.http.endpoint import AsgiEndpoint, Endpoint
from gateway.web.http.error_shapes import FRONTEND, WORDS_FRAME

FRONTENDS: tuple[Endpoint, ...] = (
    AsgiEndpoint(
        method="POST",
        path="/api/chat/stream",
        handler=lambda gateway: MessageStream(gateway, chat_form),
        name="chat_stream",
        summary="Send a message as the lunar and printer frontends do",
        description="`message` gets a stream in lunar, `user_message` one in printer; one of them is "
        "required. The cookie `sluice_conversation` continues a lunar conversation.",
        tag="frontends",
        errors=FRONTEND,
        body=(LunarBody, PrinterBody),
        parameters=ASKING,
        answers={"200": stream_of(LUNAR, PRINTER), **NOTHING_MORE},
        refuses=(404, 409, 422, *NOBODY),
    ),
    AsgiEndpoint(
        method="POST",
        path="/api/v1/chat/unified/stream",
        handler=lambda gateway: MessageStream(gateway, words_form),
        name="words_stream",
        summary="Send a message as the words frontend does",
        description="Every `data:` is a string to append. The message continues the caller's latest "
        "conversation with this `user_id` if it is younger than 12 hours.",
        tag="frontends",
        errors=WORDS_FRAME,
        body=WordsBody,
        parameters=ASKING,
        answers={"200": stream_of(WORDS), **NOTHING_MORE},
        refuses=(409, 422, *NOBODY),
    ),
)
