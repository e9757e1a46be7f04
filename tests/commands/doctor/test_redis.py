"""The check of REDIS_URL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.doctor.clinic import doctor
from tests.redis.server import RedisServer, redis_server, requires_redis

PASSWORD = "hunter2-and-more"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server(PASSWORD) as server:
        yield server


def test_without_redis_the_check_is_skipped(tmp_path: Path) -> None:
    assert doctor(tmp_path).level("redis") == "skipped"


@pytest.mark.live
@requires_redis()
def test_a_redis_that_is_well(tmp_path: Path, server: RedisServer) -> None:
    seen = doctor(tmp_path, REDIS_URL=server.url)
    assert seen.level("redis") == "ok"
    assert PASSWORD not in seen.output


@pytest.mark.live
@requires_redis()
@pytest.mark.parametrize(
    ("away", "level"), [("share", "warning"), ("closed", "failure")], ids=["share", "closed"]
)
def test_a_redis_that_is_away_is_named(tmp_path: Path, server: RedisServer, away: str, level: str) -> None:
    server.kill()
    seen = doctor(tmp_path, REDIS_URL=server.url, LIMITS_WITHOUT_REDIS=away)
    found, wrong, fix = seen.problem("redis")
    assert found == level
    assert wrong.startswith(f"REDIS_URL=redis://…@127.0.0.1:{server.url.rpartition(':')[2]} is away, ")
    assert fix.startswith("redis-cli -u redis://…@127.0.0.1:")
    assert PASSWORD not in seen.output


@pytest.mark.live
@requires_redis()
def test_a_wrong_password_is_named(tmp_path: Path, server: RedisServer) -> None:
    seen = doctor(tmp_path, REDIS_URL=server.url.replace(PASSWORD, "hunter3"))
    _, wrong, _ = seen.problem("redis")
    assert "password" in wrong
    assert "hunter3" not in seen.output
