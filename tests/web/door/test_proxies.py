"""Reverse proxies: who is trusted."""

import pytest

from gateway.settings import SettingsError, load_settings
from gateway.web.door.proxies import TrustedProxies


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        (("10.1.2.3", 4000), True),
        (("::ffff:10.1.2.3", 4000), True),
        (("192.168.0.1", 4000), True),
        (("192.168.0.2", 4000), False),
        (("fd00::1", 4000), True),
        (("fe80::1%eth0", 4000), False),
        (("127.0.0.1", 4000), False),
        (("not an address", 4000), False),
        (None, False),
    ],
)
def test_a_peer_is_trusted_when_its_address_is_in_one_of_the_networks(
    peer: tuple[str, int] | None, trusted: bool
) -> None:
    proxies = TrustedProxies(["10.0.0.0/8", "192.168.0.1", "fd00::/8"])
    assert proxies.trusts({"type": "http", "client": peer}) is trusted


def test_nobody_is_trusted_without_networks() -> None:
    assert not TrustedProxies().trusts({"type": "http", "client": ("127.0.0.1", 1)})


def test_trusted_proxies_are_separated_by_commas() -> None:
    settings = load_settings(_env_file=None, trusted_proxies=" 10.0.0.0/8 , ::1 ")
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")


def test_a_trusted_proxy_that_is_no_address_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"TRUSTED_PROXIES=.*10\.0\.0\.7"):
        load_settings(_env_file=None, trusted_proxies="proxy.local")


@pytest.mark.parametrize(
    ("given", "kept"), [("", ""), ("/", ""), ("/chat", "/chat"), ("/a/chat/", "/a/chat")]
)
def test_a_root_path_ends_without_a_slash(given: str, kept: str) -> None:
    assert load_settings(_env_file=None, root_path=given).root_path == kept


@pytest.mark.parametrize("given", ["chat", "//evil", "/a b", "http://x/"])
def test_a_root_path_that_is_no_path_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match="ROOT_PATH"):
        load_settings(_env_file=None, root_path=given)
