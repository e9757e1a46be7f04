"""python rooms.py URL ROOM: two people meet in the room over python-socketio; prints what they heard."""

import asyncio
import json
import sys

import socketio


class Member:
    def __init__(self) -> None:
        self.client = socketio.AsyncClient()
        self._heard: asyncio.Queue = asyncio.Queue()
        self.client.on("*", lambda name, data: self._heard.put_nowait((name, data)))

    async def next(self, *names: str) -> tuple[str, dict]:
        while (told := await self._heard.get())[0] not in names:
            pass
        return told

    async def reply(self) -> str:
        text = (await self.next("reply:start"))[1]["content"]
        while True:
            name, data = await self.next("reply:chunk", "reply:done", "reply:error")
            if name != "reply:chunk":
                assert data["length"] == len(text)
                return text
            assert data["position"] == len(text)
            text += data["content"]


async def meet(url: str, room: str, transport: str) -> dict:
    members = {name: Member() for name in ("anna", "ben")}
    anna, ben = members.values()
    for name, member in members.items():
        await member.client.connect(url, transports=[transport], auth={"userId": name})
    joined = [await member.client.call("room:join", {"roomId": room}) for member in members.values()]
    came = await anna.next("room:join")
    await ben.client.call("typing:start", {})
    typing = await anna.next("typing:start")
    sent = await ben.client.call("message:send", {"content": "Hello 🙂", "ask": True})
    heard = []
    for member in members.values():
        _, said = await member.next("message:new")
        is_it = said["messageId"] == sent["messageId"]
        heard.append([said["userId"], said["content"], is_it, await member.reply()])
    nobodys = await ben.client.call("room:join", {"roomId": "nobodys"})
    used = ben.client.transport()
    await ben.client.disconnect()
    left = await anna.next("room:leave")
    await anna.client.disconnect()
    return {
        "people": [sorted(person["userId"] for person in each["people"]) for each in joined],
        "seen": [[name, data["userId"], data["roomId"] == room] for name, data in (came, typing, left)],
        "heard": heard,
        "nobodys": nobodys["error"]["code"],
        "transport": used,
    }


async def main(url: str, room: str) -> None:
    sys.stdout.write(json.dumps({each: await meet(url, room, each) for each in ("websocket", "polling")}))


asyncio.run(main(*sys.argv[1:]))
