"""The gateway's state at one scrape."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.contract.usage import Writes


@dataclass(frozen=True, slots=True)
class Readings:
    """Values read for one scrape.

    Attributes:
        mode: the gateway's mode, and `mode_ready`, True if it can answer.
        running: replies that are being generated.
        streams: open event streams: of replies, sessions, rooms and live views.
        readers: readers of running replies, of every kind.
        queued: requests that wait for a worker.
        workers: number of workers by state.
        worker_requests: requests of this gateway that workers have.
        broker: True if it is connected; None without one.
        redis: True if it is connected; None without REDIS_URL.
        breakers: state by transport.
        writes: of the database.
        database_writable: True if the database accepts changes.
        database_bytes: None if the database does not answer.
        readers_lost: streams whose client disconnected before the end of the reply.
        refused: requests refused with 429, by limit (`requests`, `streams`, `tokens`) and class of user.
        key_tokens: tokens of today and per day, by id of each key with such a limit.
    """

    version: str
    uptime_s: float
    mode: str
    mode_ready: bool
    draining: bool
    running: int
    streams: int
    readers: int
    journal_bytes: int
    queued: int
    workers: Mapping[str, int]
    worker_requests: int
    broker: bool | None
    broker_lost: int
    redis: bool | None
    breakers: Mapping[str, str]
    writes: Writes
    database_writable: bool
    database_bytes: int | None
    resumes: int
    readers_lost: int
    slow_readers_cut: int
    refused: Mapping[tuple[str, str], int]
    key_tokens: Mapping[str, tuple[int, int]]
