"""One reply, a gateway without sockets that makes it, and a reader that disconnects, blocks and returns."""

import asyncio
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar
from uuid import uuid4

from gateway.configured_rooms import rooms_of
from gateway.contract.errors import GatewayError, UpstreamFailed
from gateway.contract.events import Delta, Done, TransportEvent
from gateway.core.access import OwnerAccess
from gateway.core.budgets import Budgets
from gateway.core.checkpoints import Checkpoints
from gateway.core.conversations import Conversations
from gateway.core.device_owners import DeviceOwners
from gateway.core.key_ring import KeyRing
from gateway.core.limits import Limits
from gateway.core.members import MemberAccess
from gateway.core.mirrors import Mirrors
from gateway.core.mode_selector import ModeSelector
from gateway.core.mode_switch import ModeSwitch
from gateway.core.pacing import Pace
from gateway.core.rate_limits import RequestRates
from gateway.core.room_posts import RoomPosts
from gateway.core.run import Run
from gateway.core.runs import Runs
from gateway.core.session_news import SessionNews
from gateway.core.stops import Stops
from gateway.core.stream_places import StreamPlaces
from gateway.core.tickets import Tickets
from gateway.core.worker_rules import WorkerRules
from gateway.journals.memory import MemoryJournal
from gateway.store.local_signals import LocalHub, LocalSignals
from gateway.store.sql_store import SqlStore
from gateway.web.chat.messages import MessageStream
from gateway.web.chat.resume import ResumeStream
from gateway.web.chat.unified_form import unified_form
from gateway.web.door.callers import CALLER, LOCAL
from gateway.web.door.proxies import TrustedProxies
from gateway.web.endpoints.table import ELSEWHERE, ENDPOINTS
from gateway.web.http.asgi import CONNECTION, App, ConnectionWatcher, Message
from gateway.web.http.endpoint import ENDPOINT
from gateway.web.http.routes import Routes
from gateway.web.http.sse_writer import Pulse
from gateway.web.services import Services
from tests.web.event_source import EventSource
from transports.scripted import ScriptedTransport, Step

Move = Literal["say", "keep", "beat", "come back", "block", "unblock"] | int
"""One step of a plan: the transport sends an event, a checkpoint is made, a heartbeat is sent, the reader
reconnects, stops reading, or reads on. A number: the connection breaks after so many more bytes."""

Ending = Literal["end", "fail", "stop", "shutdown"]

FAILURE = "The model server broke off."


@dataclass(frozen=True)
class Request:
    """One request of the reader. body: of a POST; None: a GET."""

    app: App
    path_id: str
    body: dict[str, Any] | None = None
    query: str = ""
    last_event_id: str | None = None


class Reader(Protocol):
    """One kind of client: its requests, and the streams that it has received."""

    def ask(self, gateway: Services, stream_id: str) -> Request: ...

    def come_back(self, gateway: Services, stream_id: str) -> Request: ...

    def take(self, received: bytes) -> object:
        """Read all that one connection has received."""
        ...


R = TypeVar("R", bound=Reader)


class UnifiedReader(EventSource):
    """A reader of the unified dialect that reconnects as an EventSource does."""

    def ask(self, gateway: Services, stream_id: str) -> Request:
        body = {"content": "Hi", "resumable": True}
        return Request(MessageStream(gateway, unified_form), stream_id, body)

    def come_back(self, gateway: Services, stream_id: str) -> Request:
        return Request(ResumeStream(gateway), stream_id, last_event_id=self.last_id)


@dataclass(frozen=True)
class Plan:
    """A reply and the events around its reader.

    in_one_piece: the batches' text arrives whole and is paced.
    journal_bytes: maximum of checkpointed events that the journal keeps.
    cuts: bytes that the reader gets on each reconnection after the reply has ended.
    forgotten_after: number of these reconnections that still find the journal.
    """

    batches: list[list[TransportEvent]]
    in_one_piece: bool
    moves: list[Move]
    ending: Ending
    journal_bytes: int
    cuts: list[int]
    forgotten_after: int

    @property
    def text(self) -> str:
        return "".join(event.text for batch in self.batches for event in batch if isinstance(event, Delta))


class Pipe:
    """One connection of the reader. It accepts `room` more bytes; None: all."""

    def __init__(self, room: int | None = None) -> None:
        self.room = room
        self.status = 0
        self.received = b""
        self.gone = False
        self._watcher: ConnectionWatcher | None = None
        self._readable = asyncio.Event()
        self._readable.set()

    @property
    def writable(self) -> bool:
        return self._readable.is_set()

    def write_chunk(self, body: bytes) -> None:
        assert body
        if self.gone:
            return
        self.received += body if self.room is None else body[: self.room]
        if self.room is not None:
            self.room -= len(body)
            if self.room <= 0:
                self.abort()

    def abort(self) -> None:
        if not self.gone:
            self.gone = True
            self._readable.set()
            asyncio.get_running_loop().call_soon(self._lose)

    def watch(self, watcher: ConnectionWatcher | None) -> None:
        self._watcher = watcher
        if self.gone:
            self._lose()

    def block(self) -> None:
        if not self.gone:
            self._readable.clear()

    def unblock(self) -> None:
        if not self.writable:
            self._readable.set()
            if self._watcher is not None:
                self._watcher.connection_writable()

    async def send(self, message: Message) -> None:
        await self._readable.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["body"]:
            self.write_chunk(message["body"])

    def _lose(self) -> None:
        if self._watcher is not None:
            self._watcher.connection_lost()


class Turnstile:
    """Makes a reply advance one step at a time."""

    def __init__(self) -> None:
        self._at_it = asyncio.Event()
        self._permits = asyncio.Semaphore(0)
        self._open = False

    async def pass_through(self, _: float = 0) -> None:
        self._at_it.set()
        if not self._open:
            await self._permits.acquire()

    async def reached(self) -> None:
        """Wait until the reply waits here or has ended."""
        await self._at_it.wait()

    async def let_one_pass(self) -> None:
        """Let the reply make one step, and wait until it is at the next step or its end."""
        await self._at_it.wait()
        if not self._open:
            self._at_it.clear()
            self._permits.release()
            await self._at_it.wait()

    def open(self) -> None:
        """Stop blocking: the reply has ended, or continues by itself."""
        self._open = True
        self._at_it.set()
        self._permits.release()


@dataclass
class Scene(Generic[R]):
    """One reply with its gateway and its reader."""

    plan: Plan
    store: SqlStore
    tasks: asyncio.TaskGroup
    reader: R
    turnstile: Turnstile = field(default_factory=Turnstile)
    pipe: Pipe = field(default_factory=Pipe)
    call: asyncio.Task[None] = field(init=False)

    def __post_init__(self) -> None:
        plan = self.plan
        self.journal = MemoryJournal(max_bytes=plan.journal_bytes)
        self.runs = Runs(self.journal, OwnerAccess(), grace_s=30, ttl_s=600)
        self.checkpoints = Checkpoints(self.store)
        self.stream_id = uuid4().hex
        news = SessionNews()
        modes = ModeSelector({"scripted": ScriptedTransport(lambda _: self.steps())}, "scripted")
        owners = DeviceOwners(self.store, open_user="local", keys_exist=lambda: False)
        conversations = Conversations(
            self.store,
            self.runs,
            modes,
            Limits(),
            self.checkpoints,
            news,
            resume_url=lambda stream_id, _: f"/{stream_id}",
            new_id=lambda: self.stream_id,
            clock=time.monotonic,
            sleep=self.turnstile.pass_through,
        )
        access = MemberAccess()
        rooms, hall = rooms_of(self.store, self.runs, news, access, owners, elsewhere=None)
        self.gateway = Services(
            conversations=conversations,
            runs=self.runs,
            stops=Stops(self.runs, self.store, OwnerAccess(), LocalSignals("scene", LocalHub())),
            journal=self.journal,
            store=self.store,
            templates=self.store.templates,
            attachments=self.store.attachments,
            rooms=rooms,
            hall=hall,
            posts=RoomPosts(self.store, conversations, access, news, 1000),
            usage=self.store.usage,
            modes=modes,
            mode_switch=ModeSwitch(modes, "scripted", self.store.kept_settings),
            audit_log=self.store.audit_log,
            devices=self.store,
            worker_rules=WorkerRules(list, self.store.kept_settings),
            proxies=TrustedProxies(),
            pulse=Pulse(ping_s=15),
            mirrors=Mirrors(self.runs, owners, None),
            tickets=Tickets(b"secret", 600, time.time),
            keys=KeyRing(self.store.keys, rate_per_minute=1, streams=1, clock=time.monotonic),
            rates=RequestRates(),
            budgets=Budgets(self.store.keys),
            listeners=StreamPlaces(),
            news=news,
            pace=Pace(size=3),
            word_pace=Pace("word"),
            max_content_chars=100,
            max_attachment_bytes=100,
            max_message_bytes=1000,
            max_body_bytes=1000,
            body_timeout_s=30,
            version="1",
        )

    def steps(self) -> Iterator[Step]:
        plan = self.plan
        if plan.in_one_piece:
            yield self.turnstile.pass_through
            told = [event for batch in plan.batches for event in batch if not isinstance(event, Delta)]
            text = [Delta(plan.text)] if plan.text else []
            yield self._last([*told[:1], *text, *told[1:]])
        for batch in plan.batches:
            yield self.turnstile.pass_through
            yield batch
        yield self.turnstile.pass_through
        yield self._last(None)

    def _last(self, whole: list[TransportEvent] | None) -> Step:
        return UpstreamFailed(FAILURE) if self.plan.ending == "fail" else [Done("stop", whole=whole)]

    async def ask(self) -> Run:
        """Connect with a POST and wait until the reply has begun."""
        self.connect(self.reader.ask(self.gateway, self.stream_id))
        await self.turnstile.reached()
        run = self.runs.find(self.stream_id, LOCAL.user_id)
        self.tasks.create_task(self._open_at_end(run))
        return run

    def come_back(self, room: int | None = None) -> None:
        """Close the connection if it is open, and reconnect."""
        self.pipe.abort()
        self.reader.take(self.pipe.received)
        self.pipe = Pipe(room)
        self.connect(self.reader.come_back(self.gateway, self.stream_id))

    def connect(self, request: Request) -> None:
        last_id, method = request.last_event_id, "GET" if request.body is None else "POST"
        scope = {
            "type": "http",
            "method": method,
            "path": "/messages/stream",
            "query_string": request.query.encode(),
            "headers": [] if last_id is None else [(b"last-event-id", last_id.encode())],
            "extensions": {CONNECTION: self.pipe},
            "path_params": {"stream_id": request.path_id},
            CALLER: LOCAL,
            ENDPOINT: Routes(ENDPOINTS, ELSEWHERE).find(method, "/messages/stream")[0],
        }
        self.call = self.tasks.create_task(_call(request, scope, self.pipe))

    async def play(self, run: Run) -> None:
        """Make every move of the plan while the reply runs."""
        for move in self.plan.moves:
            if move == "say":
                await self.turnstile.let_one_pass()
            elif move == "keep":
                await self.checkpoints.keep_all()
            elif move == "beat":
                self.gateway.pulse.beat(math.inf)
            elif move == "come back":
                self.come_back()
            elif move == "block":
                self.pipe.block()
            elif move == "unblock":
                self.pipe.unblock()
            else:
                self.pipe.room = move
        match self.plan.ending:
            case "end" | "fail":
                self.turnstile.open()
            case "stop":
                await self.runs.stop(self.stream_id, LOCAL.user_id)
            case "shutdown":
                await self.runs.drain(0, asyncio.Event())
        await run.ended.wait()

    async def read_to_the_end(self) -> None:
        """Read and reconnect until everything is read; then reconnect once more and expect nothing."""
        self.pipe.unblock()
        await self.call
        for number, room in enumerate([*self.plan.cuts, None, None, None]):
            if number == self.plan.forgotten_after:
                self.journal.forget(self.stream_id)
            self.come_back(room)
            await self.call

    async def _open_at_end(self, run: Run) -> None:
        await run.ended.wait()
        self.turnstile.open()


async def _call(request: Request, scope: dict[str, Any], pipe: Pipe) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps(request.body).encode()}

    try:
        await request.app(scope, receive, pipe.send)
    except GatewayError as error:
        if error.status < 500:
            raise
        pipe.status = error.status
