"""Contract of message stores: messages that ask nothing."""

import asyncio
from typing import Any

import pytest

from gateway.contract.authors import Author
from gateway.contract.content import Image, Text
from gateway.contract.errors import Conflict
from gateway.contract.notes import NewNote
from gateway.contract.store import MAX_PAGE_CHARS, MessageStore
from tests.store.exchanges import answer, ask, question

ANNA, BEN = Author("user", "anna"), Author("user", "ben")


def note(session_id: int, content: Any = "Hello", **said: Any) -> NewNote:
    return NewNote("local", session_id, **({"author": ANNA, "content": content} | said))


def broadcast(session_id: int, client_id: str, **said: Any) -> NewNote:
    return note(session_id, origin="broadcast", client_id=client_id, **said)


async def test_a_note_follows_the_last_message_and_the_next_question_follows_it(store: MessageStore) -> None:
    first = await ask(store, "Hi", "Hello")
    said, is_new = await store.post(note(first.session_id, "One moment", client_id="c1"))
    second = await store.begin(question(first.session_id))

    _, reply, kept, asked, _ = await store.messages("local", first.session_id, path=True)
    assert is_new
    assert (kept, kept.parent_id, asked.parent_id) == (said, reply.id, said.id)
    assert (kept.role, kept.status, kept.author, kept.stream_id) == ("user", "complete", ANNA, None)
    assert (kept.origin, kept.client_id, asked.origin) == ("room", "c1", None)
    assert asked.id == second.user_message_id
    assert await store.message("local", said.id) == said


async def test_a_note_is_an_activity_gives_a_title_and_shows_the_latest_branch(store: MessageStore) -> None:
    session = await store.create_session("local", "")
    first = await store.post(note(session.id, "First", title="First"))
    await ask(store, "q", "a", session.id)
    await store.choose("local", first.message.id)
    before = await store.session("local", session.id)
    await store.post(note(session.id, "Second", title="Second"))

    after = await store.session("local", session.id)
    assert (after.title, after.leaf_id) == ("First", None)
    assert after.updated_at > before.updated_at


async def test_the_order_of_notes_and_questions_is_that_of_the_calls(store: MessageStore) -> None:
    session = await store.create_session("local", "")
    async with asyncio.TaskGroup() as group:
        for number in range(40):
            if number % 3:
                group.create_task(store.post(note(session.id, str(number))))
            else:
                group.create_task(store.begin(question(session.id, content=str(number))))

    path = await store.messages("local", session.id, path=True)
    assert [message.content for message in path if message.status == "complete"] == list(map(str, range(40)))
    assert list(path) == list(await store.messages("local", session.id))


async def test_begin_returns_what_the_question_of_a_room_is_told_with(store: MessageStore) -> None:
    begun = await store.begin(question(author=BEN, client_id="c1"))
    asked = await store.message("local", begun.user_message_id)
    reply = await store.message("local", begun.assistant_message_id)
    assert (begun.question_uuid, begun.asked_at) == (asked.uuid, asked.created_at)
    assert (asked.client_id, reply.client_id) == ("c1", None)


@pytest.mark.parametrize("known_by", ["client id", "uuid", "number", "stream", "completion"])
async def test_a_broadcast_of_a_message_that_is_there_is_not_stored(
    store: MessageStore, known_by: str
) -> None:
    stream_id = "0123456789abcdef" * 2
    exchange = await store.begin(question(stream_id=stream_id, client_id="c1"))
    await store.finish(answer(exchange, "Because."))
    asked, reply = await store.messages("local", exchange.session_id)
    name, message = {
        "client id": ("c1", asked),
        "uuid": (reply.uuid, reply),
        "number": (str(reply.id), reply),
        "stream": (stream_id, reply),
        "completion": (f"chatcmpl-{stream_id}", reply),
    }[known_by]

    kept = await store.post(broadcast(exchange.session_id, name, author=BEN, role="assistant"))

    assert (kept.message.id, kept.is_new) == (message.id, False)
    assert len(await store.messages("local", exchange.session_id)) == 2


async def test_a_broadcast_is_stored_once_whoever_brings_it_and_however_often_at_once(
    store: MessageStore,
) -> None:
    session = await store.create_session("local", "")
    outcomes = await asyncio.gather(
        *(
            store.post(broadcast(session.id, "m1", content=f"from {author}", author=author, role="assistant"))
            for author in (ANNA, BEN, ANNA, BEN)
        )
    )
    (kept,) = await store.messages("local", session.id)
    assert [outcome.is_new for outcome in outcomes] == [True, False, False, False]
    assert {outcome.message.id for outcome in outcomes} == {kept.id}
    assert (kept.role, kept.origin, kept.author) == ("assistant", "broadcast", ANNA)


async def test_an_id_names_one_message_in_each_room_and_for_each_author(store: MessageStore) -> None:
    first = await store.create_session("local", "")
    other = await store.create_session("local", "")
    sent = [
        await store.post(note(first.id, client_id="1")),
        await store.post(note(first.id, client_id="1", author=BEN)),
        await store.post(note(first.id, client_id="2")),
        await store.post(note(other.id, client_id="1")),
        await store.post(broadcast(other.id, "2")),
    ]
    assert all(kept.is_new for kept in sent)
    again = await store.post(note(first.id, client_id="1"))
    assert (again.message, again.is_new) == (sent[0].message, False)
    with pytest.raises(Conflict):
        await store.post(note(first.id, "Another text", client_id="1"))
    with pytest.raises(Conflict):
        await store.begin(question(first.id, author=ANNA, client_id="1"))
    assert len(await store.messages("local", first.id)) == 3


@pytest.mark.parametrize(
    "name",
    ["chatcmpl-", "0" * 32, "x" * 36, "9" * 18, "9" * 40, "٣", "'; --", "\0", "\ud800", "\n", "_" * 50],
)
async def test_odd_ids_are_new_once(store: MessageStore, name: str) -> None:
    session = await store.create_session("local", "")
    assert [(await store.post(broadcast(session.id, name))).is_new for _ in range(2)] == [True, False]


async def test_a_note_keeps_its_attachments(store: MessageStore) -> None:
    session = await store.create_session("local", "")
    content = (Text("Look"), Image("image/png", "aGVsbG8="))
    said, _ = await store.post(note(session.id, content))
    (kept,) = await store.messages("local", session.id)
    assert (said, said.content, said.parts) == (kept, "Look", content)
    _, told = await store.history("local", session.id, max_chars=100, max_bytes=MAX_PAGE_CHARS)
    assert list(told) == [said]


async def test_a_note_whose_caller_gives_up_is_not_stored(store: MessageStore) -> None:
    first = await ask(store, "Hi", "Hello")
    given_up = asyncio.ensure_future(store.post(note(first.session_id, "given up", client_id="c1")))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait({given_up})
    later = await store.post(note(first.session_id, "later"))

    _, reply, kept = await store.messages("local", first.session_id)
    assert given_up.cancelled()
    assert (kept, kept.parent_id) == (later.message, reply.id)
    assert (await store.post(note(first.session_id, "again", client_id="c1"))).is_new


async def test_notes_follow_the_message_before_a_deleted_reply(store: MessageStore) -> None:
    first = await ask(store, "One", "1")
    second = await store.begin(question(first.session_id, stream_id="s2"))
    said, _ = await store.post(note(first.session_id, "meanwhile"))
    broadcasted, _ = await store.post(broadcast(first.session_id, "m1", role="assistant"))
    assert said.parent_id == second.assistant_message_id

    await store.delete_reply("local", "s2")

    kept = await store.messages("local", first.session_id, path=True)
    assert [message.content for message in kept] == ["One", "1", "meanwhile", "Hello"]
    assert kept[2].parent_id == first.assistant_message_id
    assert kept[3].parent_id == said.id == kept[2].id
    assert kept[3].id == broadcasted.id
