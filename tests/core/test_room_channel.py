"""A room's channel knows which replies run."""

import asyncio
from datetime import UTC, datetime
from typing import cast

from gateway.contract.replies_elsewhere import RunningReply
from gateway.contract.room_events import ReplyBegan, ReplyOver
from gateway.contract.store import StoredSession
from gateway.core.room_channel import Place, RoomChannel
from gateway.core.room_reply import RoomReply, Tell
from tests.core.room_house import ANNA, Ear

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SESSION = StoredSession(1, "uuid", "key", "anna", "title", NOW, NOW)
REPLY = RunningReply("stream", 3, 2)


class Followed:
    """A RoomReply whose task ends some time after it has told the reply's end."""

    def __init__(self, tell: Tell) -> None:
        self.message_id = REPLY.message_id
        self.ends, self.returns, self.gone = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._tell = tell

    def began(self) -> ReplyBegan:
        return ReplyBegan(REPLY.stream_id, REPLY.message_id, REPLY.question_id)

    async def follow(self) -> None:
        await self.ends.wait()
        self._tell(ReplyOver(REPLY.stream_id, REPLY.message_id, "complete", "stop", 0))
        await self.returns.wait()
        self.gone.set()


async def test_a_reply_that_goes_on_before_its_first_part_is_forgotten_is_told_to_late_listeners() -> None:
    made: list[Followed] = []

    def make_reply(reply: RunningReply, user_id: str, tell: Tell) -> RoomReply:
        made.append(Followed(tell))
        return cast(RoomReply, made[-1])

    channel = RoomChannel(SESSION, 3, make_reply, lambda *_: None)
    early, late = Ear(), Ear()
    async with asyncio.timeout(30):
        with channel.closing:
            join(channel, early)
            channel.follow(REPLY)
            made[0].ends.set()
            await early.end()
            channel.follow(REPLY)
            made[0].returns.set()
            await made[0].gone.wait()
            await asyncio.sleep(0)  # the channel hears of the task's end
            join(channel, late)
    assert late.heard == [("began", "")]
    assert channel.after == REPLY.message_id - 1


def join(channel: RoomChannel, ear: Ear) -> None:
    place = Place(channel, ANNA, ear, lambda: True, lambda *_: None, lambda _: None)
    channel.add(place)
    place.catch_up(())
