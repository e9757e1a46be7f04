"""The setting DATABASE_URL."""

import pytest

from gateway.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    "url", ["postgresql://ada:hunter2@host/db", "mysql+aiomysql://a:hunter2@h/d", "sqlite:///hunter2.db", ""]
)
def test_any_other_database_is_refused_in_one_line_without_its_password(url: str) -> None:
    with pytest.raises(
        SettingsError, match=r"^DATABASE_URL=… is not allowed: it must be like sql"
    ) as refused:
        load_settings(database_url=url, _env_file=None)
    assert "hunter2" not in str(refused.value)


def test_an_at_sign_in_the_password_is_refused_and_no_part_of_it_shown() -> None:
    with pytest.raises(SettingsError, match="with %40 for an @ in the password") as refused:
        load_settings(database_url="postgresql+asyncpg://ada:hunter2@moon@host/db", _env_file=None)
    assert "moon" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite+aiosqlite:///sluice.db",
        "sqlite+aiosqlite:////srv/a@b@c/sluice.db",
        "postgresql+asyncpg://ada:hunter2@host:5432/db?ssl=require",
        "postgresql+asyncpg://ada:hunter2@host/db?application_name=a%40b",
        "postgresql+asyncpg:///db?host=/var/run/postgresql",
    ],
)
def test_sqlite_and_postgresql_are_accepted(url: str) -> None:
    settings = load_settings(database_url=url, _env_file=None)

    assert settings.database_url == url
    assert ("hunter2" in settings.secrets) == ("hunter2" in url)
