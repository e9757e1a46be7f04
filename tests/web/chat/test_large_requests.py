"""Large requests of every form are read in the thread for large bodies, not between streams."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gateway.web.http import large_bodies
from tests.web.gateway_server import served
from transports.scripted import tokens

TEXT = "x" * large_bodies.LARGE_BYTES
EARLIER = {"role": "user", "content": TEXT}
HI = {"role": "user", "content": "Hi"}
AG_UI = {"threadId": "t", "runId": "r"}
PARTS = [{"type": "text", "text": TEXT}], [{"type": "text", "text": "Hi"}]


class Recording(ThreadPoolExecutor):
    """worked: number of works so far."""

    worked = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.worked += 1
        return super().submit(fn, *args, **kwargs)


@pytest.mark.parametrize(
    ("path", "body", "works"),
    [
        ("/v1/chat/completions", {"messages": [EARLIER, HI]}, 2),
        ("/v1/responses", {"input": [EARLIER, HI]}, 4),
        ("/v1/messages", {"messages": [EARLIER, HI]}, 3),
        ("/api/chat", {"model": "m", "messages": [EARLIER, HI]}, 3),
        ("/api/generate", {"model": "m", "system": TEXT, "prompt": "Hi"}, 2),
        ("/api/chat", {"id": "c", "messages": [{"role": "user", "parts": parts} for parts in PARTS]}, 4),
        ("/api/ag-ui", AG_UI | {"messages": [EARLIER, HI]}, 2),
    ],
)
async def test_a_large_request_is_read_in_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, Any], works: int
) -> None:
    with Recording(1) as thread:
        monkeypatch.setattr(large_bodies, "_thread", thread)
        async with served(tmp_path, lambda _: tokens("So.")) as gateway:
            response = await gateway.http.post(path, json=body)
    assert response.status_code == 200, response.text
    assert thread.worked == works, "the last of them is the digest for Idempotency-Key"
