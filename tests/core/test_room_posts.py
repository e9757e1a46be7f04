"""Messages of rooms: questions to the model and notes, from members."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.authors import Author
from gateway.contract.errors import Conflict, Forbidden, GatewayError, NotFound, Unprocessable
from gateway.contract.events import Delta
from gateway.contract.record import replace
from gateway.contract.room_events import MessagePosted, RoomEvent
from gateway.contract.rooms import Member
from gateway.core.addressing import addressed_model
from gateway.core.members import MemberAccess
from gateway.core.question import Question
from gateway.core.room_posts import NewMessage, Posted, RoomPosts
from gateway.core.session_news import Listener, ReplyEnded, ReplyStarted
from tests.core.house import USER, House, house
from transports.scripted import Script, tokens

OWNER, BEN, CAROL, ROBOT = (
    Member("user", USER, "owner"),
    Member("user", "ben"),
    Member("user", "carol", "watcher"),
    Member("device", "robot-1"),
)
SAYS: Script = lambda _: tokens("Hello")  # noqa: E731 - a script is a function


class Deaf:
    """A listener that must not hear its own broadcast."""

    def hear(self, event: RoomEvent) -> None: ...

    def dismiss(self, session_id: int) -> None: ...


@dataclass
class Room:
    home: House
    posts: RoomPosts
    session_id: int
    news: Listener

    async def post(self, content: Any = "Hi", user: str = USER, **said: Any) -> Posted:
        new = NewMessage(user, Author("user", user), self.session_id, content)
        return await self.posts.post(replace(new, **said))

    async def contents(self) -> list[str]:
        return [message.content for message in await self.home.store.messages(USER, self.session_id)]

    def told(self) -> list[MessagePosted]:
        """The messages that were published since the last call."""
        news = []
        while (one := self.news.take()) is not None:
            news.append(one)
        return [one for one in news if isinstance(one, MessagePosted)]

    async def ended(self, posted: Posted) -> None:
        run = self.home.runs.find(posted.stream_id or "", USER)
        await run.ended.wait()


@asynccontextmanager
async def room(
    tmp_path: Path, *members: Member, script: Script = SAYS, models: Sequence[str] = (), **more: Any
) -> AsyncIterator[Room]:
    access = MemberAccess()
    async with house(tmp_path, script, access=access, **({"ttl_s": 60} | more)) as home:
        session = await home.store.create_session(USER, "")
        access.put(session.id, [OWNER, *members])
        posts = RoomPosts(home.store, home.conversations, access, home.news, 100, lambda: models)
        with home.news.listening(session.id, lambda: None) as news:
            yield Room(home, posts, session.id, news)


@pytest.mark.parametrize(
    ("members", "content", "ask", "asks"),
    [
        ((), "Hi", None, True),
        ((ROBOT,), "Hi", None, True),
        ((), "Hi", False, False),
        ((BEN,), "Hi", None, False),
        ((BEN,), "Hi", True, True),
        ((BEN,), "Well, @Model: why?", None, True),
        ((BEN,), "@tiny why?", None, True),
        ((BEN,), "@models", None, False),
        ((BEN,), "mail me@model.org", None, False),
        ((BEN,), "@model", False, False),
        ((CAROL,), "Hi", None, False),
    ],
)
async def test_what_asks_the_model(
    tmp_path: Path, members: tuple[Member, ...], content: str, ask: bool | None, asks: bool
) -> None:
    async with room(tmp_path, *members, models=["tiny"]) as at:
        posted = await at.post(content, ask=ask)
        assert (posted.stream_id is not None) == asks
        if asks:
            await at.ended(posted)
        assert await at.contents() == [content, *(["Hello"] if asks else [])]


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("", None),
        ("@", None),
        ("@model", "model"),
        ("(@MODEL)", "model"),
        ("@model's", "model"),
        ("@modell", None),
        ("x@model", None),
        ("@@model", None),
        ("@Qwen/tiny-q8.gguf, why?", "qwen/Tiny-q8.gguf"),
        ("@qwen", None),
        ("a @qwen/tiny b", "qwen/tiny"),
        ("\ud800@model\0", "model"),
    ],
)
def test_how_a_model_is_addressed(text: str, model: str | None) -> None:
    assert addressed_model(text, ["qwen/tiny", "qwen/Tiny-q8.gguf"]) == model


async def test_everybody_hears_a_note_and_nothing_is_asked(tmp_path: Path) -> None:
    async with room(tmp_path, BEN) as at:
        posted = await at.post("Hello all", user="ben", client_id="c1")
        assert at.told() == [posted.message]
        (kept,) = await at.home.store.messages(USER, at.session_id)
    message = posted.message
    assert (posted.is_new, message.author, message.role) == (True, Author("user", "ben"), "user")
    assert (message.message_id, message.uuid, message.created_at) == (kept.id, kept.uuid, kept.created_at)
    assert (message.content, message.client_id, message.origin) == ("Hello all", "c1", "room")


async def test_a_question_is_told_like_a_note_and_then_its_reply(tmp_path: Path) -> None:
    async with room(tmp_path, BEN) as at:
        posted = await at.post("@model Hi", user="ben", client_id="c1")
        await at.ended(posted)
        told, started, ended = at.news.take(), at.news.take(), at.news.take()
        asked, reply = await at.home.store.messages(USER, at.session_id)
    assert told == posted.message
    assert isinstance(told, MessagePosted)
    assert (told.client_id, told.uuid, told.author) == ("c1", asked.uuid, Author("user", "ben"))
    assert started == ReplyStarted(posted.stream_id or "", reply.id, asked.id)
    assert isinstance(ended, ReplyEnded)


async def test_a_model_that_is_addressed_by_its_name_is_asked(tmp_path: Path) -> None:
    asked = []

    def script(request: Any) -> Any:
        asked.append(request.model)
        return tokens("Hello")

    async with room(tmp_path, BEN, script=script, models=["tiny"]) as at:
        for content, model in (("@TINY Hi", None), ("@model Hi", None), ("@tiny Hi", "other")):
            await at.ended(await at.post(content, model=model))
    assert asked == ["tiny", None, "other"]


async def test_a_broadcast_asks_nothing_and_is_not_told_to_its_sender(tmp_path: Path) -> None:
    sender = Deaf()
    async with room(tmp_path) as at:
        posted = await at.post(
            "@model", origin="broadcast", role="assistant", client_id="m1", except_for=sender, ask=True
        )
        again = await at.post("@model", user=USER, origin="broadcast", client_id="m1")
        (told,) = at.told()
        assert await at.contents() == ["@model"]
    assert (posted.stream_id, posted.is_new, told.except_for) == (None, True, sender)
    assert (told.role, told.author, told.origin) == ("assistant", Author("user", USER), "broadcast")
    assert (again.is_new, again.message) == (False, posted.message)


async def test_a_broadcast_of_the_rooms_own_reply_tells_its_stream(tmp_path: Path) -> None:
    async with room(tmp_path) as at:
        posted = await at.post()
        await at.ended(posted)
        again = await at.post("Hello", origin="broadcast", role="assistant", client_id=posted.stream_id)
        assert (again.stream_id, again.is_new) == (posted.stream_id, False)
        assert len(await at.contents()) == 2


@pytest.mark.parametrize("members", [(), (BEN,)], ids=["question", "note"])
async def test_a_message_that_is_sent_again_is_stored_and_told_once(
    tmp_path: Path, members: tuple[Member, ...]
) -> None:
    async with room(tmp_path, *members) as at:
        first, second = await asyncio.gather(at.post(client_id="c1"), at.post(client_id="c1"))
        third = await at.post(client_id="c1")
        assert at.told() == [first.message]
        assert (second.message, third.message) == (first.message, first.message)
        assert first.stream_id == second.stream_id == third.stream_id
        assert (first.is_new, third.is_new) == (True, False)
        with pytest.raises(Conflict, match="another text"):
            await at.post("Something else", client_id="c1")
        assert (await at.contents())[0] == "Hi"
        assert len(await at.contents()) == (1 if members else 2)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"content": " \n"}, Unprocessable),
        ({"content": "x" * 101}, Unprocessable),
        ({"client_id": ""}, Unprocessable),
        ({"client_id": "x" * 129}, Unprocessable),
        ({"role": "assistant"}, Unprocessable),
        ({"user": "carol"}, Forbidden),
        ({"user": "carol", "origin": "broadcast"}, Forbidden),
        ({"user": "eve"}, NotFound),
        ({"user": "eve", "origin": "broadcast", "client_id": "m1"}, NotFound),
        ({"user": "eve", "ask": True}, NotFound),
        ({"session_id": 99}, NotFound),
        ({"session_id": -1}, NotFound),
        ({"session_id": 2**70}, NotFound),
    ],
)
@pytest.mark.parametrize("in_sql", [True, False], ids=["sql", "memory"])
async def test_what_is_refused_is_neither_stored_nor_told(
    tmp_path: Path, said: dict[str, Any], error: type[GatewayError], in_sql: bool
) -> None:
    async with room(tmp_path, BEN, CAROL, in_sql=in_sql) as at:
        with pytest.raises(error):
            await at.post(**said)
        assert (await at.contents(), at.told()) == ([], [])


async def test_a_reply_in_a_room_goes_on_without_readers_and_any_member_stops_it(tmp_path: Path) -> None:
    held = asyncio.Event()
    async with room(tmp_path, BEN, CAROL, script=lambda _: [[Delta("Hel")], held.wait], grace_s=0) as at:
        # As POST /messages/stream without resumption: its reader leaves.
        run = await at.home.ask("Hi", at.session_id)
        with at.home.runs.following(run):
            pass
        assert not run.is_settled()
        for stranger in ("carol", "eve"):
            with pytest.raises(NotFound):
                await at.home.runs.stop(run.stream_id, stranger)
        outcome = await at.home.runs.stop(run.stream_id, "ben")
    assert outcome.reason == "user_stop"


async def test_a_member_that_is_removed_loses_the_replies_that_it_asked_for(tmp_path: Path) -> None:
    access, held = MemberAccess(), asyncio.Event()
    async with house(tmp_path, lambda _: [[Delta("Hel")], held.wait], access=access) as home:
        session = await home.store.create_session(USER, "")
        access.put(session.id, [OWNER, BEN])
        question = Question("ben", "Hi", session_id=session.id, resumable=True)
        stream_id = await home.conversations.ask(question)
        home.runs.find(stream_id, "ben", to_stop=True)
        access.put(session.id, [OWNER])
        for to_stop in (False, True):
            with pytest.raises(NotFound):
                home.runs.find(stream_id, "ben", to_stop=to_stop)
        await home.runs.stop(stream_id, USER)


async def test_a_session_that_becomes_a_room_keeps_its_running_reply(tmp_path: Path) -> None:
    access, held = MemberAccess(), asyncio.Event()
    async with house(tmp_path, lambda _: [[Delta("Hel")], held.wait], access=access) as home:
        alone, shared = await home.ask("Hi"), await home.ask("Hi")
        access.put(shared.exchange.session_id, [OWNER])
        for run in (alone, shared):
            with home.runs.following(run):
                pass
        assert (alone.is_settled(), shared.is_settled()) == (True, False)
        await home.runs.stop(shared.stream_id, USER)
