"""A proxy between client packages and a gateway that checks the order of every stream that passes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import httptools

from tests.dialects.order import ag_ui, ai_sdk, anthropic, completions, ollama, openai, responses
from tests.dialects.order.frames import Heard

_OF_PATHS: Mapping[str, Callable[[bytes], Heard]] = {
    "/v1/chat/completions": openai.hear,
    "/v1/completions": completions.hear,
    "/v1/responses": responses.hear,
    "/v1/messages": anthropic.hear,
    "/api/ag-ui": ag_ui.hear,
}


class Recording:
    """The whole streams that have passed. checked: their number by checker. wrong: what was out of order."""

    def __init__(self) -> None:
        self.checked: Counter[str] = Counter()
        self.wrong: list[str] = []

    def note(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """Check one response, if it is a stream of a model API from its beginning."""
        hear = _checker(url, headers)
        if hear is None or "starting_after" in url:
            return
        name = hear.__module__.rpartition(".")[2]
        self.checked[name] += 1
        try:
            hear(body)
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            self.wrong.append(f"{name} {url}: {error!r} in {body[-2000:]!r}")


def _checker(url: str, headers: Mapping[str, str]) -> Callable[[bytes], Heard] | None:
    media_type = headers.get("content-type", "")
    if "x-vercel-ai-ui-message-stream" in headers:
        return ai_sdk.hear
    if media_type.startswith("application/x-ndjson"):
        return ollama.hear
    if not media_type.startswith("text/event-stream"):
        return None
    path = urlsplit(url).path
    return next((hear for prefix, hear in _OF_PATHS.items() if path.startswith(prefix)), None)


class _Requests:
    """Parses what the client sends. urls: of the requests that have no answer yet."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self._url = b""

    def on_message_begin(self) -> None:
        self._url = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_message_complete(self) -> None:
        self.urls.append(self._url.decode())


class _Responses:
    """Parses what the gateway sends."""

    def __init__(self, requests: _Requests, recording: Recording) -> None:
        self._requests = requests
        self._recording = recording
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def on_message_begin(self) -> None:
        self._headers = {}
        self._body.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._requests.urls:
            self._recording.note(self._requests.urls.pop(0), self._headers, bytes(self._body))


@asynccontextmanager
async def recording_proxy(url: str) -> AsyncIterator[tuple[str, Recording]]:
    """Yield the URL of a proxy in front of the gateway at `url`, and its recording."""
    recording = Recording()
    there = urlsplit(url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = _Requests()
        to_gateway = httptools.HttpRequestParser(requests)
        to_client = httptools.HttpResponseParser(_Responses(requests, recording))
        gateway_reader, gateway_writer = await asyncio.open_connection(there.hostname, there.port)
        try:
            await asyncio.gather(
                _forward(reader, gateway_writer, to_gateway.feed_data),
                _forward(gateway_reader, writer, to_client.feed_data),
            )
        finally:
            gateway_writer.close()
            writer.close()

    async with asyncio.TaskGroup() as group:
        serving: list[asyncio.Task[None]] = []
        server = await asyncio.start_server(
            lambda reader, writer: serving.append(group.create_task(serve(reader, writer))), "127.0.0.1", 0
        )
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", recording
        for task in serving:
            task.cancel()


async def _forward(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, parse: Callable[[bytes], None]
) -> None:
    """Pass on everything until one end closes, and close the other one."""
    with suppress(ConnectionError):
        is_http = True
        while piece := await reader.read(65536):
            writer.write(piece)
            try:
                if is_http:
                    parse(piece)
            except httptools.HttpParserUpgrade:
                is_http = False  # a WebSocket begins: its frames are not checked
            await writer.drain()
    writer.close()
