"""httptools' parser of requests, for a server that never leaves HTTP/1.1.

A server may ignore `Upgrade` (RFC 9110, 7.8), and ours does. httptools does not: after a head with it the
request's body is no longer read, and what comes next would be taken for another request. Java's HTTP client
asks for h2c on every new connection, also with a body.
"""

import httptools


class RequestParser:
    """What uvicorn needs of httptools.HttpRequestParser. protocol: gets the same callbacks."""

    __slots__ = ("_head", "_parser", "_protocol")

    def __init__(self, protocol: object) -> None:
        self._protocol = protocol
        self._parser = httptools.HttpRequestParser(protocol)
        self._head: bytes | None = None

    @property
    def begins_again(self) -> bool:
        """True from begin_again on, until the same request begins for the second time."""
        return self._head is not None

    def begin_again(self, url: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """Call this in on_headers_complete if should_upgrade(): the request begins anew without `Upgrade`."""
        lines = [b"%b: %b\r\n" % (name, value) for name, value in headers if name != b"upgrade"]
        first = b"%b %b HTTP/%b\r\n" % (self.get_method(), url, self.get_http_version().encode())
        self._head = b"".join([first, *lines, b"\r\n"])

    def feed_data(self, data: bytes) -> None:
        """Raises httptools.HttpParserError."""
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
