"""Forged and wrong tokens. Each is refused with one sentence that contains nothing of it."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey

from gateway.contract.identities import Identity, InvalidToken
from gateway.issuer.discovery import Published
from gateway.issuer.issued_identities import IssuedIdentities
from gateway.issuer.key_cache import KeyCache
from gateway.issuer.signatures import MAX_TOKEN_CHARS, header_of
from gateway.issuer.signing_keys import SigningKeys
from gateway.issuer.token_rules import LEEWAY_S, TokenRules
from tests.issuer.issuer_server import EC, ED, OTHER_RSA, RSA, signed

ISSUER, AUDIENCE, NOW = "https://id.example/realms/chat", "sluice", 1_800_000_000
RS256 = {"alg": "RS256", "kid": "rsa"}


def claims(**others: Any) -> dict[str, Any]:
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "anna", "exp": NOW + 60, "scope": "chat"}
    return {name: value for name, value in {**usual, **others}.items() if value is not None}


class House:
    """The identities of an issuer with these published keys. `published` may be changed."""

    def __init__(self) -> None:
        self.now = float(NOW)
        self.published: list[dict[str, Any]] = [dict(key.as_dict(private=False)) for key in (RSA, EC, ED)]
        self.reads = 0
        self.cache = KeyCache(self._read, lambda: self.now)
        rules = TokenRules(ISSUER, AUDIENCE, "scope")
        self.identities = IssuedIdentities(self.cache, rules, lambda: self.now)

    async def _read(self) -> Published:
        self.reads += 1
        return Published(SigningKeys(self.published), 600)

    async def reason(self, token: str) -> str:
        """Return the reason for which the token is refused."""
        with pytest.raises(InvalidToken) as refused:
            await self.identities.identity_of(token)
        said = str(refused.value)
        assert said.isascii()
        assert not {'"', "\\"} & set(said)
        assert not any(part in said for part in token.split(".") if len(part) > 5)
        return said

    async def of(self, **others: Any) -> Identity:
        return await self.identities.identity_of(signed(RS256, claims(**others), RSA))


@asynccontextmanager
async def housed() -> AsyncIterator[House]:
    house = House()
    running = asyncio.create_task(house.cache.run())
    try:
        async with asyncio.timeout(30):
            yield house
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with housed() as house:
        yield house


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def public_pem() -> bytes:
    return RSA.as_pem(private=False)


NOT_A_JWT = "The token is not a signed JWT."
HEADER = "The token's header is not valid."
ALGORITHM = "The token's algorithm is not accepted."
SIGNATURE = "The token's signature is wrong."
EXTENSIONS = "The token's header has extensions that are not known here."
UNKNOWN = "The token is signed with a key that the issuer does not publish."
CLAIMS = "The token's claims are not valid."

TWO_ALG = b'{"alg":"none","alg":"RS256","kid":"rsa"}'

FORGED: dict[str, tuple[Callable[[], str], str]] = {
    "alg none": (lambda: f"{part({'alg': 'none'})}.{part(claims())}.", NOT_A_JWT),
    "alg none with a signature": (lambda: f"{part({'alg': 'none'})}.{part(claims())}.AAAA", ALGORITHM),
    "alg nOnE": (lambda: f"{part({'alg': 'nOnE'})}.{part(claims())}.AAAA", ALGORITHM),
    "HS256 with the public key": (
        lambda: signed(
            {"alg": "HS256", "kid": "rsa"}, claims(), OctKey.import_key(public_pem().hex().encode())
        ),
        ALGORITHM,
    ),
    "alg is a list": (lambda: f"{part({'alg': ['RS256']})}.{part(claims())}.AAAA", ALGORITHM),
    "no alg": (lambda: f"{part({'kid': 'rsa'})}.{part(claims())}.AAAA", ALGORITHM),
    "another key with the same name": (lambda: signed(RS256, claims(), OTHER_RSA), SIGNATURE),
    "the algorithm of another key": (lambda: signed({"alg": "RS256", "kid": "ec"}, claims(), RSA), UNKNOWN),
    "the key of another curve": (
        lambda: signed({"alg": "ES384", "kid": "ec"}, claims(), ECKey.generate_key("P-384", private=True)),
        UNKNOWN,
    ),
    "secp256k1": (lambda: f"{part({'alg': 'ES256K', 'kid': 'ec'})}.{part(claims())}.AAAA", ALGORITHM),
    "kid is a path": (lambda: signed({"alg": "RS256", "kid": "../../dev/null"}, claims(), RSA), UNKNOWN),
    "kid is SQL": (lambda: signed({"alg": "RS256", "kid": "' OR 1=1 --"}, claims(), RSA), UNKNOWN),
    "kid is a number": (lambda: signed({"alg": "RS256", "kid": 1}, claims(), RSA), HEADER),
    "no kid, and several keys": (lambda: signed({"alg": "EdDSA"}, claims(), ED)[:-4] + "AAAA", SIGNATURE),
    "crit": (lambda: signed({**RS256, "crit": ["exp"], "exp": 1}, claims(), RSA), EXTENSIONS),
    "crit is no list": (lambda: f"{part({**RS256, 'crit': 7})}.{part(claims())}.AAAA", EXTENSIONS),
    "b64 false": (
        lambda: f"{part({**RS256, 'b64': False, 'crit': ['b64']})}.{part(claims())}.AAAA",
        EXTENSIONS,
    ),
    "its own key": (
        lambda: signed({**RS256, "jwk": dict(OTHER_RSA.as_dict(private=False))}, claims(), OTHER_RSA),
        SIGNATURE,
    ),
    "an address of keys": (
        lambda: signed(
            {**RS256, "jku": "http://127.0.0.1:9/", "x5u": "http://127.0.0.1:9/"}, claims(), OTHER_RSA
        ),
        SIGNATURE,
    ),
    "a logout token": (
        lambda: signed({**RS256, "typ": "logout+jwt"}, claims(), RSA),
        "The token is not an access token.",
    ),
    "two alg": (
        lambda: f"{part(TWO_ALG)}.{part(claims())}.AAAA",
        HEADER,
    ),
    "a header that is no JSON": (lambda: f"{part(b'rubbish')}.{part(claims())}.AAAA", HEADER),
    "a header that is a list": (lambda: f"{part([])}.{part(claims())}.AAAA", HEADER),
    "a deep header": (lambda: f"{part(b'[' * 9000)}.{part(claims())}.AAAA", HEADER),
    "an encrypted token": (lambda: "eyJ.a.b.c.d", NOT_A_JWT),
    "no signature": (lambda: signed(RS256, claims(), RSA).rpartition(".")[0] + ".", NOT_A_JWT),
    "other claims under a signature": (
        lambda: (lambda one: f"{one[0]}.{part(claims(sub='eve'))}.{one[2]}")(
            signed(RS256, claims(), RSA).split(".")
        ),
        SIGNATURE,
    ),
    "padding": (lambda: signed(RS256, claims(), RSA) + "=", NOT_A_JWT),
    "a space": (lambda: signed(RS256, claims(), RSA) + " x", NOT_A_JWT),
    "a megabyte": (
        lambda: f"{part(RS256)}.{'A' * 2**20}.AAAA",
        f"The token is longer than {MAX_TOKEN_CHARS} characters.",
    ),
    "two sub": (
        lambda: signed(RS256, json.dumps(claims()).replace("{", '{"sub": "eve",', 1).encode(), RSA),
        CLAIMS,
    ),
    "exp is NaN": (
        lambda: signed(RS256, json.dumps(claims(exp=float("nan"))).encode(), RSA),
        CLAIMS,
    ),
    "exp is infinite": (
        lambda: signed(RS256, json.dumps(claims(exp=7)).replace("7", "1e999", 1).encode(), RSA),
        CLAIMS,
    ),
    "claims that are a list": (lambda: signed(RS256, b"[]", RSA), CLAIMS),
    "deep claims": (lambda: signed(RS256, b'{"a":' + b"[" * 5000, RSA), CLAIMS),
}


@pytest.mark.parametrize("what", FORGED)
async def test_a_forged_token_is_refused(house: House, what: str) -> None:
    make, reason = FORGED[what]
    assert await house.reason(make()) == reason


MISSING = "The token lacks one of the claims iss, aud, exp and sub."
LATER = "The token is not valid yet."


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"iss": f"{ISSUER}/"}, "The token is from another issuer."),
        ({"iss": [ISSUER]}, "The token is from another issuer."),
        ({"iss": None}, MISSING),
        ({"aud": "other"}, "The token is for another audience."),
        ({"aud": ["other", "sluice2"]}, "The token is for another audience."),
        ({"aud": []}, "The token is for another audience."),
        ({"aud": {"sluice": 1}}, "The token is for another audience."),
        ({"aud": None}, MISSING),
        ({"exp": NOW - LEEWAY_S}, "The token has expired."),
        ({"exp": str(NOW + 60)}, CLAIMS),
        ({"exp": True}, CLAIMS),
        ({"exp": None}, MISSING),
        ({"nbf": NOW + LEEWAY_S + 1}, LATER),
        ({"iat": NOW + LEEWAY_S + 1}, LATER),
        ({"nbf": "soon"}, LATER),
        ({"sub": None}, MISSING),
        ({"sub": ""}, CLAIMS),
        ({"sub": 7}, CLAIMS),
        ({"sub": "\ud800"}, CLAIMS),
        ({"sub": "x" * 256}, "The token's claim sub is too long."),
        ({"sub": "ä" * 43}, "The token's claim sub is too long."),
    ],
    ids=str,
)
async def test_wrong_claims_are_refused(house: House, others: dict[str, Any], reason: str) -> None:
    assert await house.reason(signed(RS256, claims(**others), RSA)) == reason


@pytest.mark.parametrize(
    "others",
    [
        {"aud": ["other", AUDIENCE]},
        {"exp": NOW - LEEWAY_S + 1},
        {"exp": NOW + 0.5},
        {"exp": 10**400},
        {"nbf": NOW + LEEWAY_S},
        {"iat": NOW + LEEWAY_S},
    ],
    ids=lambda others: str(others)[:30],
)
async def test_right_claims_are_accepted(house: House, others: dict[str, Any]) -> None:
    assert (await house.of(**others)).user_id.startswith("anna:")


async def test_a_token_without_a_key_name_needs_the_only_key_of_its_algorithm(house: House) -> None:
    token = signed({"alg": "RS256"}, claims(), RSA)
    assert (await house.identities.identity_of(token)).user_id.startswith("anna:")
    second = RSAKey.generate_key(2048, {"kid": "second"}, private=True)
    house.published = [*house.published, dict(second.as_dict(private=False))]
    house.now += 20
    await house.cache.renew()
    assert await house.reason(token) == UNKNOWN


@pytest.mark.parametrize(
    ("sub", "name"),
    [
        ("anna", "anna"),
        ("anna@id.example", "anna@id.example"),
        ("auth0|7f", "auth0~7C7f"),
        ("auth0~7C7f", "auth0~7E7C7f"),
        ("a/../b:c", "a~2F..~2Fb~3Ac"),
        ("Zoë\n", "Zo~C3~AB~0A"),
    ],
)
async def test_the_name_of_a_user_fits_in_paths_and_headers(house: House, sub: str, name: str) -> None:
    digest = hashlib.sha256(ISSUER.encode()).hexdigest()[:12]
    assert (await house.of(sub=sub)).user_id == f"{name}:{digest}"


@pytest.mark.parametrize(
    "published",
    [
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"alg": "PS256"},
        {"alg": 7},
        {"kid": 7},
        {"kty": "oct", "k": "AAAA"},
        {"kty": ["RSA"]},
        {"n": "AQAB"},
        {"n": "A" * 100_000},
        {"n": ""},
        {"n": 7},
        {"e": "AA"},
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_key_that_is_not_for_signatures_verifies_none(
    house: House, published: dict[str, Any]
) -> None:
    house.published[0] |= published
    assert await house.reason(signed(RS256, claims(), RSA)) == UNKNOWN


async def test_a_short_rsa_key_verifies_none(house: House) -> None:
    with pytest.warns(UserWarning, match="2048"):
        short = RSAKey.generate_key(1024, {"kid": "rsa"}, private=True)
    house.published[0] = dict(short.as_dict(private=False))
    assert await house.reason(signed(RS256, claims(), short)) == UNKNOWN


async def test_a_remembered_token_expires(house: House) -> None:
    token = signed(RS256, claims(), RSA)
    first = await house.identities.identity_of(token)
    assert await house.identities.identity_of(token) is first
    house.now = NOW + 60 + LEEWAY_S - 1
    assert await house.identities.identity_of(token) is first
    house.now += 1
    assert await house.reason(token) == "The token has expired."
    assert house.identities.stands(first.user_id, house.now + 1)
    assert not house.identities.stands(first.user_id, house.now)
    assert not house.identities.stands("anna", house.now + 1)


async def test_a_token_of_a_withdrawn_key_is_refused_though_it_was_remembered(house: House) -> None:
    token = signed({"alg": "ES256", "kid": "ec"}, claims(), EC)
    await house.identities.identity_of(token)
    house.published = [one for one in house.published if one["kid"] != "ec"]
    house.now += 20
    await house.cache.renew()
    assert await house.reason(token) == UNKNOWN


@given(st.text() | st.from_regex(r"\A[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]{1,9}\.[A-Za-z0-9_-]{1,9}\Z"))
def test_any_text_is_refused_as_a_token(text: str) -> None:
    with pytest.raises(InvalidToken):
        header_of(text)


_numbers = st.text(alphabet="AQgw019_-=+ ä", max_size=60)
_keys = st.fixed_dictionaries(
    {"kty": st.sampled_from(["RSA", "EC", "OKP", "oct", "x"])},
    optional={
        "crv": st.sampled_from(["P-256", "P-521", "Ed25519", "X25519", "secp256k1", ""]),
        **dict.fromkeys(("n", "e", "x", "y", "d", "k"), _numbers),
        "use": st.sampled_from(["sig", "enc", 7]),
        "key_ops": st.sampled_from([["verify"], [], 7]),
    },
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(_keys | _json, max_size=5))
def test_any_list_of_keys_is_read(found: list[Any]) -> None:
    keys = SigningKeys(found)
    assert len(keys) <= len(found)
    assert keys == SigningKeys(list(found))
