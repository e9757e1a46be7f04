"""Administration is for administrators: by a key's scope, and without keys on the gateway's machine only."""

from pathlib import Path
from typing import Any

import pytest

from gateway.contract.errors import Forbidden
from gateway.web.door.open_mode import OpenMode
from gateway.web.door.proxies import TrustedProxies
from gateway.web.endpoints.administration import ADMINISTRATION
from gateway.web.http.endpoint import ADMIN
from tests.web.endpoints.test_table import ask, filled
from tests.web.gateway_server import STREAM, served
from tests.web.key_holders import bearer, make_key
from transports.scripted import tokens

MODE = "/api/admin/mode"


def test_every_endpoint_of_administration_needs_the_scope_admin_and_nothing_else_opens_it() -> None:
    assert all(endpoint.path.startswith("/api/admin/") for endpoint in ADMINISTRATION)
    assert {endpoint.scopes for endpoint in ADMINISTRATION} == {ADMIN}
    assert {endpoint.ticket for endpoint in ADMINISTRATION} == {None}


async def test_neither_a_users_key_nor_a_ticket_nor_a_revoked_key_opens_them(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("x")) as gateway:
        admin = await make_key(gateway, "root", frozenset({"admin"}))
        user = await make_key(gateway, "anna", frozenset({"chat", "metrics"}))
        asked = await gateway.http.post(
            STREAM, json={"content": "Hi", "resumable": True}, headers=bearer(user)
        )
        ticket = asked.headers["sluice-resume-url"].partition("ticket=")[2]
        assert ticket
        for endpoint in ADMINISTRATION:
            path = filled(endpoint.path)
            for headers, query, status in (
                (bearer(user), "", 403),
                ({}, f"?ticket={ticket}", 401),
                (bearer(ticket), "", 401),
                ({"x-api-key": "sk-"}, "", 401),
            ):
                refused = await ask(gateway.http, endpoint.method, path + query, headers)
                assert refused.status_code == status, (endpoint.name, headers, query)
                assert refused.headers["content-type"] == "application/problem+json"
        assert (await gateway.http.get(MODE, headers=bearer(admin))).status_code == 200
        assert (await gateway.http.get("/api/admin/audit", headers=bearer(admin))).json() == []


async def test_without_keys_a_proxys_client_is_no_administrator(tmp_path: Path) -> None:
    forwarded = {"x-forwarded-for": "203.0.113.7"}
    async with served(tmp_path, lambda _: tokens("x"), trusted_proxies=("127.0.0.1",)) as gateway:
        assert (await gateway.http.get("/api/metrics", headers=forwarded)).status_code == 200
        assert (await gateway.http.get(MODE)).status_code == 200
        for endpoint in ADMINISTRATION:
            refused = await ask(gateway.http, endpoint.method, filled(endpoint.path), forwarded)
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), endpoint.name
        assert "sluice keys create --scopes admin" in refused.json()["detail"]


@pytest.mark.parametrize("peer", [("192.0.2.7", 1), ("172.17.0.1", 1), ("::ffff:192.0.2.7", 1), None])
def test_without_keys_another_machine_is_no_administrator(peer: Any) -> None:
    with pytest.raises(Forbidden, match="own machine"):
        OpenMode((), (), TrustedProxies()).check_admin({"client": peer, "headers": []})


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"])
def test_without_keys_the_own_machine_is(peer: str) -> None:
    OpenMode((), (), TrustedProxies()).check_admin({"client": (peer, 1), "headers": []})


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.7", "203.0.113.7", "192.0.2.7"),
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "8.8.8.8, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("10.0.0.1", "203.0.113.7, rubbish", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        (None, "203.0.113.7", "unknown"),
    ],
)
def test_the_source_of_a_change_is_the_client_before_the_trusted_proxies(
    peer: str | None, forwarded: str, client: str
) -> None:
    scope = {
        "client": None if peer is None else (peer, 1),
        "headers": [(b"x-forwarded-for", forwarded.encode())],
    }
    assert TrustedProxies(("10.0.0.0/8",)).client_of(scope) == client


def test_a_line_that_the_client_sent_before_the_proxys_line_is_not_believed() -> None:
    """HAProxy adds a line of its own behind those of the client."""
    lines = [(b"x-forwarded-for", b"203.0.113.9"), (b"x-forwarded-for", b"198.51.100.7")]
    scope = {"client": ("10.0.0.1", 1), "headers": lines}
    assert TrustedProxies(("10.0.0.0/8",)).client_of(scope) == "198.51.100.7"
