"""An issuer of tokens: an HTTP server in this process that publishes real keys and can misbehave."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing, suppress
from typing import Any, Literal

from joserfc.jwa import JWSAlgModel
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry, serialize_compact

AUDIENCE = "sluice"
CONFIGURATION, KEYS = "/.well-known/openid-configuration", "/keys"

RSA = RSAKey.generate_key(2048, {"kid": "rsa"}, private=True)
EC = ECKey.generate_key("P-256", {"kid": "ec"}, private=True)
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"}, private=True)
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa"}, private=True)
"""A key that no issuer publishes, with the name of one that is published."""


class AnyAlgorithm(JWSRegistry):
    """Signs with every algorithm, without a warning, and with every header."""

    max_header_length = max_payload_length = 2**24

    def __init__(self) -> None:
        super().__init__(strict_check_header=False)

    def get_alg(self, name: str) -> JWSAlgModel:
        return self.algorithms[name]

    def check_header(self, header: dict[str, Any]) -> None:
        pass


def signed(header: Mapping[str, Any], payload: Mapping[str, Any] | bytes, key: Key | None) -> str:
    """Return a token with exactly this header and payload."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return serialize_compact(dict(header), raw, key, registry=AnyAlgorithm())


class IssuerServer:
    """Attributes, which tests change while it runs:

    keys: the published keys.
    url: its address, and the issuer of its tokens.
    mode: `ok`; `away`: closes each connection; `slow`: never answers; a body to send for the keys.
    cache_control: header of the keys.
    configuration: members of the configuration that differ.
    asked: the paths of all requests.
    """

    def __init__(self) -> None:
        self.keys: list[Key] = [RSA, EC, ED]
        self.url = ""
        self.mode: Literal["ok", "away", "slow"] | bytes = "ok"
        self.status = "200 OK"
        self.cache_control = "max-age=600"
        self.configuration: dict[str, Any] = {}
        self.asked: list[str] = []
        self.was_asked = asyncio.Event()

    def token(self, key: Key = RSA, alg: str = "RS256", **claims: Any) -> str:
        """Return a token of anna with the scope chat. claims: others; None leaves one out."""
        return signed({"alg": alg, "kid": key.kid, "typ": "at+jwt"}, self.claims(**claims), key)

    def claims(self, **claims: Any) -> dict[str, Any]:
        now = int(time.time())
        usual = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "anna",
            "exp": now + 600,
            "iat": now,
            "scope": "chat",
        }
        return {name: value for name, value in {**usual, **claims}.items() if value is not None}

    def settings(self) -> dict[str, Any]:
        return {"issuer_url": self.url, "issuer_audience": AUDIENCE}

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["IssuerServer"]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls) as server:
            scheme = "http" if tls is None else "https"
            self.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            try:
                yield self
            finally:
                server.close()
                self.was_asked.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ")[1]
            self.asked.append(path)
            self.was_asked.set()
            if self.mode == "away":
                return
            if self.mode == "slow":
                await reader.read()
                return
            body = self._body(path)
            writer.write(
                f"HTTP/1.1 {self.status}\r\nContent-Length: {len(body)}\r\nLocation: {self.url}/elsewhere\r\n"
                f"Cache-Control: {self.cache_control}\r\nConnection: close\r\n\r\n".encode()
            )
            writer.write(body)
            await writer.drain()

    def _body(self, path: str) -> bytes:
        if path.endswith(CONFIGURATION):
            usual = {"issuer": self.url, "jwks_uri": f"{self.url}{KEYS}"}
            return json.dumps({**usual, **self.configuration}).encode()
        if isinstance(self.mode, bytes):
            return self.mode
        return json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]}).encode()
