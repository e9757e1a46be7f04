"""The public keys that an issuer publishes as a JSON Web Key Set. Source: RFC 7517, RFC 8725."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key
from joserfc.util import urlsafe_b64decode

ALGORITHMS: dict[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
"""Accepted algorithms, with the type and curve of their keys. All have public keys: `none` and HS256 are not
among them, so that nothing that the issuer publishes can sign a token."""

MAX_KEYS = 100
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
MAX_NUMBER_CHARS = 4096
"""Maximum length of a number of a key in Base64; it is checked before the number is computed."""

_NUMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key. kid, algorithm: None if the issuer does not restrict it to a name or an algorithm."""

    kid: str | None
    kind: str
    curve: str | None
    algorithm: str | None
    key: Key

    def fits(self, algorithm: str) -> bool:
        return ALGORITHMS.get(algorithm) == (self.kind, self.curve) and self.algorithm in {None, algorithm}


class SigningKeys:
    """The keys of a set that can verify tokens; the others are ignored.

    found: the member `keys` of the set. Raises ValueError if it is not a list.
    """

    def __init__(self, found: object) -> None:
        if not isinstance(found, list):
            raise ValueError("it has no list of keys")
        self._keys = list(_usable(found[:MAX_KEYS]))
        self._found = found

    def __len__(self) -> int:
        return len(self._keys)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SigningKeys) and self._found == other._found

    __hash__ = None  # type: ignore[assignment]  # it is compared by its values only

    def find(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the key with this name for this algorithm. Without a name, return the only key that fits
        the algorithm; None if there are several."""
        fitting = [key for key in self._keys if key.fits(algorithm) and kid in {None, key.kid}]
        return fitting[0].key if fitting and (kid is not None or len(fitting) == 1) else None


def _usable(found: Iterable[object]) -> Iterator[SigningKey]:
    for one in found:
        if isinstance(one, dict) and (key := _signing_key(one)) is not None:
            yield key


def _signing_key(told: dict[str, Any]) -> SigningKey | None:
    """Return the key, or None if it cannot or must not verify a signature.

    Only the public numbers are read: a private key's other numbers, and members for encryption, are not.
    """
    kind, kid, algorithm = told.get("kty"), told.get("kid"), told.get("alg")
    operations = told.get("key_ops", ["verify"])
    if not isinstance(kind, str) or kind not in _NUMBERS or told.get("use", "sig") != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    if not isinstance(kid, str | None) or not isinstance(algorithm, str | None):
        return None
    told_numbers = {name: told.get(name) for name in _NUMBERS[kind]}
    numbers = {name: value for name, value in told_numbers.items() if isinstance(value, str)}
    if numbers.keys() != told_numbers.keys() or max(map(len, numbers.values())) > MAX_NUMBER_CHARS:
        return None
    curve = numbers.get("crv")
    if (kind, curve) not in ALGORITHMS.values():
        return None
    try:
        if kind == "RSA" and not MIN_RSA_BITS <= _bits_of(numbers["n"]) <= MAX_RSA_BITS:
            return None
        key = JWKRegistry.import_key({"kty": kind, **numbers})
    except (JoseError, UnsupportedAlgorithm, ValueError):
        return None
    return SigningKey(kid, kind, curve, algorithm, key)


def _bits_of(number: str) -> int:
    """Return the length of a number in Base64, in bits. Raises ValueError."""
    return int.from_bytes(urlsafe_b64decode(number.encode())).bit_length()
