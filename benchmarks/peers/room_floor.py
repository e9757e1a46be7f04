"""The least that a room can cost: a server that writes the same bytes to all its connections, and does nothing else.

usage: python room_floor.py PORT EVENTS_PER_S
"""

import asyncio
import sys

import uvloop

EVENT = b"x" * 140


class Listener(asyncio.Protocol):
    transports: list[asyncio.Transport] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transports.append(transport)


async def main(port: int, events_per_s: float) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(Listener, "127.0.0.1", port)
    print("ready", flush=True)
    began, number = loop.time(), 0
    while True:
        number += 1
        await asyncio.sleep(max(0, began + number / events_per_s - loop.time()))
        for transport in Listener.transports:
            transport.write(EVENT)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2])))
