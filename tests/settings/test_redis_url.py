"""The setting REDIS_URL."""

import sys

import pytest

from gateway.assembly import assemble
from gateway.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    "url",
    [
        "redis://10.0.0.7",
        "redis://10.0.0.7:6379/3",
        "redis://:hunter2@redis.internal:6379/0",
        "rediss://ada:hunter%402@redis.internal?ssl_ca_certs=/etc/redis/ca.pem",
        "unix:///run/redis/redis.sock?db=2",
        "redis://[::1]:6379",
    ],
)
def test_an_address_is_accepted(url: str) -> None:
    settings = load_settings(redis_url=url, _env_file=None)
    assert settings.redis_url == url
    assert assemble(settings).gateway.redis_connected() is False


@pytest.mark.parametrize(
    "url",
    [
        "10.0.0.7:6379",
        "http://10.0.0.7",
        "redis://",
        "redis://:hunter2@",
        "redis://host:0",
        "redis://host:99999",
        "redis://host:port",
        "redis://host/name",
        "redis://ada:hunter2@moon@host",
        "redis://host/0?socket_timeout=3600",
        "redis://host/0?password=hunter2",
        "redis://host/0#1",
        "redis://host/0?ssl_ca_certs=/etc/redis/ca.pem",
        "rediss://host?ssl_nothing=1",
        "redis://ho st",
        "redis://[::1",
        "redis://a..b",
        "unix://",
        "unix://host/path",
        "redis+sentinel://host",
    ],
)
def test_another_text_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(
        SettingsError, match=r"^REDIS_URL=… is not allowed: it must be like redis://"
    ) as refused:
        load_settings(redis_url=url, _env_file=None)
    assert "hunter2" not in str(refused.value)


def test_without_redis_nobody_asks_for_it() -> None:
    assert assemble(load_settings(_env_file=None)).gateway.redis_connected() is None


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    monkeypatch.delitem(sys.modules, "gateway.redis.client", raising=False)
    with pytest.raises(SettingsError, match=r"^REDIS_URL needs the package redis.*sluice-gateway\[cluster\]"):
        assemble(load_settings(redis_url="redis://host", _env_file=None))
