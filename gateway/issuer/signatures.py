"""Verifies the signature of a token in JWS compact form. Source: RFC 7515, RFC 8725."""

import re
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry, deserialize_compact
from joserfc.util import urlsafe_b64decode

from gateway.contract.identities import InvalidToken
from gateway.issuer.signing_keys import ALGORITHMS
from gateway.issuer.strict_json import strict_object

MAX_TOKEN_CHARS = 16_384
TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""Accepted values of `typ`, in lower case. An issuer signs other kinds of tokens with the same keys, such as
logout tokens. Source: RFC 9068, 2.1; RFC 8725, 3.11."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Header:
    """The members of a token's header that are used. It is not verified yet.

    Keys and addresses of keys in the header (`jwk`, `x5c`, `jku`, `x5u`) are ignored.
    """

    algorithm: str
    kid: str | None


class _Registry(JWSRegistry):
    """The accepted algorithms, without the library's warning for EdDSA."""

    max_header_length = MAX_TOKEN_CHARS
    max_payload_length = MAX_TOKEN_CHARS

    def get_alg(self, name: str) -> JWSAlgModel:
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


_REGISTRY = _Registry(strict_check_header=False)


def header_of(token: str) -> Header:
    """Return the header of a token. Raises InvalidToken if it is not one that could be accepted."""
    if len(token) > MAX_TOKEN_CHARS:
        raise InvalidToken(f"The token is longer than {MAX_TOKEN_CHARS} characters.")
    if not _COMPACT.fullmatch(token):
        raise InvalidToken("The token is not a signed JWT.")
    try:
        header = strict_object(urlsafe_b64decode(token.partition(".")[0].encode()))
    except ValueError:
        raise InvalidToken("The token's header is not valid.") from None
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidToken("The token's algorithm is not accepted.")
    if not isinstance(kid, str | None):
        raise InvalidToken("The token's header is not valid.")
    if "crit" in header or "b64" in header:
        raise InvalidToken("The token's header has extensions that are not known here.")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise InvalidToken("The token is not an access token.")
    return Header(algorithm, kid)


def claims_of(token: str, key: Key) -> dict[str, Any]:
    """Return the claims of a token whose header `header_of` accepted. Raises InvalidToken unless it is signed
    with the key."""
    try:
        payload = deserialize_compact(token, key, registry=_REGISTRY).payload
    except (JoseError, ValueError):
        raise InvalidToken("The token's signature is wrong.") from None
    try:
        return strict_object(payload or b"")
    except ValueError:
        raise InvalidToken("The token's claims are not valid.") from None
