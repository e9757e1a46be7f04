"""httptools' request parser, changed to ignore the header `Upgrade`, as RFC 9110, 7.8 allows.

httptools stops after a head with `Upgrade`: it does not read the body, and parses it as another request.
Java's HTTP client requests an upgrade to h2c on every new connection, also with a body.
"""

import httptools


class RequestParser:
    """The methods of httptools.HttpRequestParser that uvicorn uses. protocol: gets httptools' callbacks."""

    __slots__ = ("_head", "_parser", "_protocol")

    def __init__(self, protocol: object) -> None:
        self._protocol = protocol
        self._parser = httptools.HttpRequestParser(protocol)
        self._head: bytes | None = None

    @property
    def begins_again(self) -> bool:
        """True from begin_again until the request is parsed for the second time."""
        return self._head is not None

    def begin_again(self, url: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """Parse the request again without `Upgrade`. Call in on_headers_complete if should_upgrade()."""
        lines = [b"%b: %b\r\n" % (name, value) for name, value in headers if name != b"upgrade"]
        first = b"%b %b HTTP/%b\r\n" % (self.get_method(), url, self.get_http_version().encode())
        self._head = b"".join([first, *lines, b"\r\n"])

    def is_handshake(self, headers: list[tuple[bytes, bytes]]) -> bool:
        """Return whether the head is that of a WebSocket's handshake. Source: RFC 6455, 4.1."""
        is_get = (self.get_method(), self.get_http_version()) == (b"GET", "1.1")
        return is_get and b"sec-websocket-key" in dict(headers)

    def feed_data(self, data: bytes) -> None:
        """Parse received data. Raises httptools.HttpParserError."""
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                if self._head is None:
                    raise
                data, self._head = self._head + data[upgrade.args[0] :], None
                self._parser = httptools.HttpRequestParser(self._protocol)
            else:
                return

    def get_http_version(self) -> str:
        return self._parser.get_http_version()

    def get_method(self) -> bytes:
        return self._parser.get_method()

    def should_keep_alive(self) -> bool:
        return self._parser.should_keep_alive()

    def should_upgrade(self) -> bool:
        return self._parser.should_upgrade()
