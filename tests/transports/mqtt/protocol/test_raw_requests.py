"""A text to continue is not sent to workers, which take chats only."""

import pytest

from gateway.contract.errors import NotSupported
from gateway.contract.requests import ChatRequest, Turn
from transports.mqtt.protocol.frame_codec import encode_request


def test_it_is_not_supported() -> None:
    request = ChatRequest("0" * 32, [Turn("user", "Behind the")], raw=True)
    with pytest.raises(NotSupported, match="mode sse"):
        encode_request(request, attempt_id="a", reply_to="b", deadline_s=1, idle_s=1)
