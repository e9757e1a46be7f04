"""A room of python-socketio as it comes, with uvicorn: each event is emitted to one room.

usage: python stock_socket_io.py PORT EVENTS_PER_S
"""

import asyncio
import sys
from typing import Any

import socketio
import uvicorn
import uvloop

EVENT = {"roomId": "r" * 36, "streamId": "s" * 32, "position": 100, "content": "word word "}

server = socketio.AsyncServer(async_mode="asgi")


@server.on("room:join")
async def join(client: str, _: Any) -> dict[str, bool]:
    await server.enter_room(client, "room")
    return {"ok": True}


async def main(port: int, events_per_s: float) -> None:
    loop = asyncio.get_running_loop()
    config = uvicorn.Config(socketio.ASGIApp(server), port=port, log_level="warning", ws="websockets-sansio")
    serving = asyncio.create_task(uvicorn.Server(config).serve())
    print("ready", flush=True)
    began, number = loop.time(), 0
    while not serving.done():
        number += 1
        await asyncio.sleep(max(0, began + number / events_per_s - loop.time()))
        await server.emit("reply:chunk", EVENT, room="room")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2])))
