"""The page of `sluice top` from given snapshots."""

from typing import Any

from gateway.commands.printable import cut
from gateway.commands.top.page import page_of
from gateway.commands.top.snapshot import Snapshot, rates

URL = "http://127.0.0.1:8000"


def stream(id: str, chars: int, age_s: float = 10, **given: Any) -> dict[str, Any]:
    known = {"user": "anna", "session_key": "s", "mode": "sse", "dialect": "lam", "readers": 1}
    return {"id": id, "chars": chars, "age_s": age_s, **known, **given}


def worker(name: str, **given: Any) -> dict[str, Any]:
    info = {"state": "ready", "open": 1, "max": 4, "models": ["tiny"], "last_heard_s": 2, "set_aside": False}
    return {"name": name, "disabled": False, "worker": info | given}


def snapshot(at: float = 0.0, **given: Any) -> Snapshot:
    metrics = {
        "gateway": {
            "uptime": 3700,
            "runs": 2,
            "streams": 3,
            "ended": 812,
            "failed": 3,
            "journalBytes": 2**20,
        },
        "llm": {"status": "up", "models": ["tiny"], "servers": []},
        "stats": {"tokensPerSecond": 41.25, "ttftMs": 120.4, "messagestoday": 14},
        "memory": {"chunks": 9, "sizeBytes": 3 * 2**20},
        "mode": "sse",
        "breakers": {},
    }
    lists = (given.get(name, []) for name in ("streams", "workers", "problems", "away"))
    return Snapshot(at, metrics, *lists)


def test_the_head_tells_mode_streams_speed_and_problems() -> None:
    page = "\n".join(page_of(URL, snapshot(problems=["mode sse: nobody is here"]), None, 200, 50))
    for said in (
        "mode sse up",
        "up 1 h 1 min",
        "2 replies  3 readers",
        "3 of 812 replies since the start failed",
        "41.2 tokens/s",
        "! mode sse: nobody",
    ):
        assert said in page


def test_a_gateway_without_replies_has_no_measurements() -> None:
    fresh = snapshot()
    fresh.metrics["stats"].update(tokensPerSecond=0.0, ttftMs=0.0)
    assert "the latest 100 replies: - tokens/s each, first token after - ms" in page_of(
        URL, fresh, None, 200, 50
    )


def test_speeds_are_measured_since_the_earlier_snapshot_or_the_question() -> None:
    before = snapshot(0, streams=[stream("a", 100), stream("gone", 5)])
    now = snapshot(2, streams=[stream("a", 150), stream("new", 30, age_s=3), stream("just now", 0, age_s=0)])
    assert rates(now, before) == {"a": 25, "new": 10, "just now": 0}
    assert rates(now, None) == {"a": 15, "new": 10, "just now": 0}


def test_control_characters_from_outside_are_escaped() -> None:
    bad = "x\x1b[2J\r\n\x9b1m\u202e"
    shown = page_of(
        bad,
        snapshot(
            streams=[stream(bad, 1, user=bad, session_key=bad, dialect=bad)],
            workers=[worker(bad, models=[bad])],
            problems=[bad],
        ),
        None,
        1000,
        50,
    )
    assert all(line.isprintable() for line in shown)
    assert r"x\x1b[2J\r\n\x9b1m\u202e" in "\n".join(shown)


def test_a_page_fits_into_any_terminal() -> None:
    many = snapshot(
        streams=[stream(f"{number:032}", number) for number in range(300)],
        workers=[worker(f"w-{number}", models=["模型" * 20]) for number in range(100)],
        problems=["! " * 100] * 30,
    )
    for width in (1, 20, 80, 200):
        for height in (1, 2, 5, 24, 60):
            page = page_of(URL, many, None, width, height)
            assert len(page) <= height
            assert all(len(line) <= width for line in page)
    high = page_of(URL, many, None, 200, 60)
    assert sum(line.startswith("0000") for line in high) > 10
    assert sum(line.startswith("w-") for line in high) > 10
    assert any("more)" in line for line in high)


def test_wide_characters_take_two_columns() -> None:
    assert cut("模型ab", 5) == "模型a"
    assert cut("模型ab", 3) == "模"
    assert cut("plain", 3) == "pla"


def test_a_reply_of_another_gateway_has_unknown_readers() -> None:
    now = snapshot(streams=[stream("elsewhere", 1, readers=None, dialect="", gateway="gateway-2")])
    (line,) = [line for line in page_of(URL, now, None, 200, 50) if line.startswith("elsewhere")]
    assert line.split()[-1] == "-"
