"""python room_strangers.py URL ROOM OWNERS_KEY STRANGERS_KEY EVENTS: a stranger speaks python-socketio.

EVENTS: JSON `[[name, data], …]`. It prints what is answered for the room and for one that does not exist,
what the owner hears of that, and what the stranger hears when the owner speaks.
"""

import asyncio
import json
import sys

import socketio


async def connected(url: str, key: str, transport: str) -> tuple[socketio.AsyncClient, list]:
    client, heard = socketio.AsyncClient(), []
    client.on("*", lambda name, data: heard.append([name, data]))
    await client.connect(url, transports=[transport], auth={"token": key})
    return client, heard


async def tell(
    url: str, room: str, owners_key: str, strangers_key: str, events: list, transport: str
) -> dict:
    owner, by_owner = await connected(url, owners_key, transport)
    stranger, by_stranger = await connected(url, strangers_key, transport)
    await owner.call("room:join", {"roomId": room})
    answers = {
        name: [await stranger.call(event, {"roomId": name, **data}) for event, data in events]
        for name in (room, "nobodys")
    }
    await owner.call("presence:update", {"status": "busy"})
    of_stranger = list(by_owner)
    await owner.call("message:send", {"roomId": room, "content": "Hello", "ask": False})
    await stranger.call("presence:update", {})
    for client in (owner, stranger):
        await client.disconnect()
    return {
        "anothers": answers[room],
        "nobodys": answers["nobodys"],
        "owner": of_stranger,
        "stranger": by_stranger,
    }


async def main(url: str, room: str, owners_key: str, strangers_key: str, events: str) -> None:
    said = json.loads(events)
    told = {
        transport: await tell(url, room, owners_key, strangers_key, said, transport)
        for transport in ("websocket", "polling")
    }
    sys.stdout.write(json.dumps(told))


asyncio.run(main(*sys.argv[1:]))
