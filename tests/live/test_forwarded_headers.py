"""Which of a client's headers reach the model server: none but its trace."""

import asyncio
from pathlib import Path

import pytest

from tests.live.test_gateway import running_gateway
from tests.transports.llama.raw_server import raw_server

pytestmark = pytest.mark.live

TOKEN = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + TOKEN
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("path", ["/messages/stream", "/v1/chat/completions"])
async def test_a_clients_headers_are_not_handed_on(tmp_path: Path, path: str) -> None:
    """X-Conversation-Id would make llama.cpp go on after a stop."""
    body = {"content": "hi", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    headers = {"X-Conversation-Id": "mine", "Cookie": "a=b", "X-Other": "c", "traceparent": TRACE}
    async with asyncio.timeout(120), raw_server() as model:
        model.answer, model.ending = [ANSWER], "close"
        async with running_gateway(tmp_path, LLM_SERVER_URL=model.url) as gateway:
            response = await gateway.http.post(path, json=body, headers=headers)
    assert response.status_code == 200
    (asked,) = [peer.received for peer in model.peers if b"/chat/completions" in peer.received]
    head = asked.partition(b"\r\n\r\n")[0].decode().lower().splitlines()[1:]
    names = {line.partition(":")[0] for line in head}
    assert names <= {"host", "user-agent", "content-type", "content-length", "connection", "traceparent"}
    assert f"traceparent: {TRACE}" in head
