"""The setting DATABASE_URL."""

import pytest

from gateway.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    "url", ["postgresql+asyncpg://ada:hunter2@host/db", "sqlite:///hunter2.db", "hunter2", ""]
)
def test_any_database_but_sqlite_is_refused_in_one_line_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^DATABASE_URL=… is not allowed: only SQLite") as refused:
        load_settings(database_url=url, _env_file=None)
    assert "hunter2" not in str(refused.value)
