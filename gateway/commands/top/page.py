"""The lines of `sluice top`, cut to the size of the terminal. Pure."""

from collections.abc import Sequence
from typing import Any

from gateway.commands.printable import cut, printable
from gateway.commands.top.snapshot import Snapshot, Thing, rates

MOST_PROBLEMS = 8
_STREAMS = ("stream", "user", "session", "mode", "dialect", "age", "characters", "per s", "readers")
_WORKERS = ("worker", "state", "requests", "heard", "models")


def page_of(url: str, now: Snapshot, before: Snapshot | None, width: int, height: int) -> list[str]:
    """Return at most `height` lines of at most `width` columns.

    before: the snapshot that rates are measured against; None for those since each question.
    """
    speeds = rates(now, before)
    lines = _head(url, now, sum(speeds.values()))
    if now.away:
        lines.append(f"cannot serve now: {', '.join(now.away)}")
    shown = now.problems[:MOST_PROBLEMS]
    lines += [f"! {problem}" for problem in shown] or ["no problems"]
    if len(shown) < len(now.problems):
        lines.append(f"! and {len(now.problems) - len(shown)} more")
    room = max(0, height - len(lines) - 4)
    workers = min(len(now.workers), max(room // 3, room - len(now.streams)))
    streams = min(len(now.streams), room - workers)
    oldest_first = sorted(now.streams, key=lambda stream: -stream["age_s"])
    lines += _table(_STREAMS, [_stream(one, speeds[one["id"]]) for one in oldest_first], streams)
    lines += _table(_WORKERS, [_worker(one) for one in now.workers], workers)
    return [cut(printable(line), width) for line in lines[:height]]


def _head(url: str, now: Snapshot, chars_per_s: float) -> list[str]:
    gateway, stats, memory = now.metrics["gateway"], now.metrics["stats"], now.metrics["memory"]
    mode, llm = now.metrics["mode"], now.metrics["llm"]
    models = ", ".join(llm["models"]) or "no models"
    ready = sum(one["worker"] is not None and one["worker"]["state"] == "ready" for one in now.workers)
    return [
        f"{url}  mode {mode} {llm['status']}  up {_duration(gateway['uptime'])}",
        f"{gateway['runs']} replies  {gateway['streams']} readers  {chars_per_s:.0f} characters/s",
        f"the latest 100 replies: {_measured(stats['tokensPerSecond'], '.1f')} tokens/s each, "
        f"first token after {_measured(stats['ttftMs'], '.0f')} ms",
        f"{gateway['failed']} of {gateway['ended']} replies since the start failed",
        f"{ready} of {len(now.workers)} workers ready  {models}",
        f"{memory['chunks']} messages in {_bytes(memory['sizeBytes'])}  "
        f"journal {_bytes(gateway['journalBytes'])}  {stats['messagestoday'] // 2} replies today",
    ]


def _measured(value: float, form: str) -> str:
    return format(value, form) if value else "-"  # 0: none of the latest replies has it


def _stream(stream: Thing, chars_per_s: float) -> list[str]:
    return [
        stream["id"],
        stream["user"],
        stream["session_key"] or "-",
        stream["mode"] or "-",
        stream["dialect"] or "-",
        _duration(stream["age_s"]),
        str(stream["chars"]),
        f"{chars_per_s:.0f}",
        "-" if stream["readers"] is None else str(stream["readers"]),
    ]


def _worker(worker: Thing) -> list[str]:
    info: Any = worker["worker"]
    state = "away" if info is None else "suspended" if info["set_aside"] else info["state"]
    return [
        worker["name"],
        f"{state}, disabled" if worker["disabled"] else state,
        "-" if info is None else f"{info['open']} of {info['max']}",
        "-" if info is None else f"{info['last_heard_s']:.0f} s ago",
        "-" if info is None else ", ".join(info["models"]) or "-",
    ]


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], most: int) -> list[str]:
    """Return a line of titles and the first `most` rows; nothing without rows."""
    if not rows:
        return []
    shown = [[printable(cell) for cell in row] for row in rows[:most]]
    widths = [max(len(row[column]) for row in [titles, *shown]) for column in range(len(titles))]
    more = f"  (and {len(rows) - most} more)" if most < len(rows) else ""
    title = "  ".join(name.ljust(width) for name, width in zip(titles, widths, strict=True)).rstrip()
    return [
        "",
        title.upper() + more,
        *(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in shown
        ),
    ]


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _bytes(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
