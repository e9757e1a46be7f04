"""Measures rooms: CPU for each member and event, delays, and the memory of idle sockets.

usage: python benchmarks/rooms.py [--members 200] [--rate 50] [--seconds 20] [--idle 5000] [--wire WIRE]

Starts a gateway in front of a model server of its own that sends tokens at a fixed rate, and members on bare
sockets in this process. An event is one frame that one member reads. The delay is from a member's
`presence:update` until each other member has read it.

Two peers are measured beside it, with events as large and as often: a server that only writes bytes, which is
the least that the machine can do, and python-socketio as it comes.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.live.brokers import free_port
from tests.live.house import House, gateway_of
from tests.live.model_server import ModelServer, model_server

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
TEXT, PING, PONG = 0x81, 0x89, 0x8A
SETTINGS = {"ROOM_EVENTS_PER_S": "10000"}
PEERS = {"only writes": "room_floor.py", "python-socketio": "stock_socket_io.py"}
PEER_EVENTS_PER_S = 18.5


class Member(asyncio.Protocol):
    """A client of a WebSocket that reads as cheaply as it can. hear: called with each frame's text."""

    def __init__(self, wire: str, host: str, room: str, hear: Callable[["Member", bytes], None]) -> None:
        self._wire, self._host, self._room, self._hear = wire, host, room, hear
        self._buffer = b""
        self._shaken = False
        self.joined = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        if self._wire == "only writes":
            self.joined.set_result(None)
            return
        target = "/ws" if self._wire == "plain" else "/socket.io/?EIO=4&transport=websocket"
        head = f"GET {target} HTTP/1.1\r\nHost: {self._host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        head += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        transport.write(head.encode())

    def connection_lost(self, error: Exception | None) -> None:
        if not self.joined.done():
            self.joined.set_exception(ConnectionError("the gateway closed a member's socket"))

    def data_received(self, data: bytes) -> None:
        if self._wire == "only writes":
            self._hear(self, data)
            return
        self._buffer += data
        if not self._shaken:
            head, end, self._buffer = self._buffer.partition(b"\r\n\r\n")
            if not end:
                self._buffer = head
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._shaken = True
            if self._wire == "plain":
                self.send("room:join", {"roomId": self._room}, 1)
        while (frame := self._frame()) is not None:
            self._take(*frame)

    def send(self, name: str, data: dict, ack: int | None = None) -> None:
        if self._wire == "plain":
            more = {} if ack is None else {"ack": ack}
            self.write(json.dumps({"event": name, "data": data, **more}))
        else:
            self.write(f"42{'' if ack is None else ack}{json.dumps([name, data])}")

    def write(self, text: str | bytes, opcode: int = TEXT) -> None:
        body = text.encode() if isinstance(text, str) else text
        size = bytes([0x80 | len(body)]) if len(body) < 126 else bytes([0xFE]) + len(body).to_bytes(2, "big")
        self.transport.write(bytes([opcode]) + size + bytes(4) + body)

    def _frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, at = buffer[1], 2
        if size > 125:
            at = 4 if size == 126 else 10
            size = int.from_bytes(buffer[2:at], "big")
        if len(buffer) < at + size:
            return None
        self._buffer = buffer[at + size :]
        return buffer[0], buffer[at : at + size]

    def _take(self, opcode: int, body: bytes) -> None:
        if opcode == PING:
            self.write(body, PONG)
        elif opcode != TEXT or self.joined.done():
            if body == b"2":
                self.write("3")
            else:
                self._hear(self, body)
        elif body.startswith(b"0"):
            self.write('40{"userId":"m"}')
        elif body.startswith(b"40"):
            self.send("room:join", {"roomId": self._room}, 1)
        elif body.startswith((b"431[", b'{"event":"ack"')):
            self.joined.set_result(None)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def memory_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


async def join(url: str, wire: str, count: int, room: str, hear: Callable) -> list[Member]:
    address = urlsplit(url)
    members: list[Member] = []
    for begin in range(0, count, 100):
        batch = [
            asyncio.get_running_loop().create_connection(
                lambda: Member(wire, address.netloc, room, hear), address.hostname, address.port
            )
            for _ in range(min(100, count - begin))
        ]
        members += [protocol for _, protocol in await asyncio.gather(*batch)]
        await asyncio.gather(*(member.joined for member in members[begin:]))
    return members


async def new_room(house: House) -> str:
    return (await house.http.post("/api/chatbot/rooms", json={})).json()["key"]


async def measure_reply(house: House, model: ModelServer, wire: str, options: argparse.Namespace) -> str:
    """Return the row of a reply that all members read.

    The cost of a member and event is that beyond the same reply with one member, which has the tokens' own.
    """
    alone, few, _ = await read_reply(house, model, wire, 1, options)
    used, events, members = await read_reply(house, model, wire, options.members, options)
    delays = await measure_delays(members, wire)
    for member in members:
        member.transport.close()
    return (
        f"| {wire} | {options.members} | {events / options.members / options.seconds:.1f} "
        f"| {used / events * 1e6:.1f} | {(used - alone) / (events - few) * 1e6:.1f} "
        f"| {statistics.median(delays) * 1e3:.1f} | {sorted(delays)[int(len(delays) * 0.99)] * 1e3:.1f} |"
    )


async def read_reply(
    house: House, model: ModelServer, wire: str, count: int, options: argparse.Namespace
) -> tuple[float, int, list[Member]]:
    """Return the gateway's seconds of CPU, the events that all members heard, and the members."""
    heard = 0

    def hear(_: Member, body: bytes) -> None:
        nonlocal heard
        heard += 1

    pid = house.program.process.pid
    members = await join(str(house.http.base_url), wire, count, await new_room(house), hear)
    model.open_with()
    members[0].send("message:send", {"content": "Hi", "ask": True})
    await asyncio.sleep(3)
    assert model.replies
    began, heard, at = cpu_s(pid), 0, time.monotonic()
    for number in range(options.seconds * options.rate):
        await asyncio.sleep(max(0, at + number / options.rate - time.monotonic()))
        model.say("word ")
    await asyncio.sleep(0.3)
    used, events = cpu_s(pid) - began, heard
    model.end()
    await asyncio.sleep(0.5)
    return used, events, members


async def measure_peer(name: str, options: argparse.Namespace) -> str:
    """Return the row of a peer whose events all members read."""
    heard = 0

    def hear(_: Member, body: bytes) -> None:
        nonlocal heard
        heard += 1

    port = free_port()
    command = [
        sys.executable,
        Path(__file__).parent / "peers" / PEERS[name],
        str(port),
        str(PEER_EVENTS_PER_S),
    ]
    peer = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        assert peer.stdout is not None
        await peer.stdout.readline()
        await asyncio.sleep(1)  # uvicorn listens a little later
        await join(f"http://127.0.0.1:{port}", name, options.members, "room", hear)
        await asyncio.sleep(3)
        began, heard = cpu_s(peer.pid), 0
        await asyncio.sleep(options.seconds)
        used, events = cpu_s(peer.pid) - began, heard
    finally:
        peer.kill()
        await peer.wait()
    rate = events / options.members / options.seconds
    return f"| {name} | {options.members} | {rate:.1f} | {used / events * 1e6:.1f} | | | |"


async def measure_delays(members: Sequence[Member], wire: str) -> list[float]:
    delays: list[float] = []

    def hear(_: Member, body: bytes) -> None:
        if b"presence:update" in body:
            sent = float(body.partition(b'"at":')[2].partition(b"}")[0])
            delays.append(time.monotonic() - sent)

    for member in members:
        member._hear = hear
    for number in range(200):
        now = time.monotonic()
        members[0].send("presence:update", {"status": f"s{number}", "metadata": {"at": now}})
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    return delays


async def measure_idle(house: House, wire: str, options: argparse.Namespace) -> str:
    """Return the row of sockets that do nothing."""
    pid = house.program.process.pid
    rooms = [await new_room(house) for _ in range(-(-options.idle // 200))]
    await join(str(house.http.base_url), wire, 20, rooms[0], lambda *_: None)
    before = memory_kib(pid)
    for number, room in enumerate(rooms):
        count = min(200, options.idle - 200 * number)
        await join(str(house.http.base_url), wire, count, room, lambda *_: None)
    await asyncio.sleep(5)
    after, began = memory_kib(pid), cpu_s(pid)
    await asyncio.sleep(30)
    used = (cpu_s(pid) - began) / 30
    return f"| {wire} | {options.idle} | {(after - before) / options.idle:.1f} | {used * 100:.1f} |"


async def main(options: argparse.Namespace) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    wires = [options.wire] if options.wire else ["socket.io", "plain"]
    rows, idle = [], []
    for wire in wires:
        with tempfile.TemporaryDirectory() as folder:
            async with model_server() as model, gateway_of(Path(folder), model.url, **SETTINGS) as house:
                if options.members:
                    rows.append(await measure_reply(house, model, wire, options))
                if options.idle:
                    idle.append(await measure_idle(house, wire, options))
    if options.members and not options.wire:
        rows += [await measure_peer(name, options) for name in PEERS]
    head = ["wire", "members", "events/s", "CPU µs/member and event", "without the tokens' own"]
    head += ["delay p50, ms", "delay p99, ms"]
    print_table(head, rows)
    print_table(["wire", "idle sockets", "KiB each", "CPU %"], idle)


def print_table(head: Sequence[str], rows: Sequence[str]) -> None:
    if rows:
        print("", f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *rows, sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--members", type=int, default=200)
    parser.add_argument("--rate", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--idle", type=int, default=5000)
    parser.add_argument("--wire", choices=["socket.io", "plain"])
    asyncio.run(main(parser.parse_args()))
