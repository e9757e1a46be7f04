"""Contract of message stores: questions and the replies they begin."""

import asyncio
from datetime import UTC

from gateway.contract.authors import Author
from gateway.contract.errors import StorageFailed
from gateway.contract.store import MessageStore
from tests.store.exchanges import answer, both, question


async def test_begin_saves_the_question_and_an_empty_reply_that_streams(store: MessageStore) -> None:
    exchange = await store.begin(question(content="Why?", stream_id="s1", mode="mqtt", delivery="chunked"))

    asked, replied = await both(store, exchange.session_id)
    assert (asked.id, replied.id) == (exchange.user_message_id, exchange.assistant_message_id)
    assert (asked.role, asked.content, asked.status) == ("user", "Why?", "complete")
    assert (asked.stream_id, asked.mode, asked.delivery) == (None, None, None)
    assert (replied.role, replied.content, replied.status) == ("assistant", "", "streaming")
    assert (replied.stream_id, replied.mode, replied.delivery) == ("s1", "mqtt", "chunked")
    assert replied.created_at.tzinfo is UTC
    assert asked.uuid != replied.uuid


async def test_a_new_session_has_the_title_and_a_key_that_names_its_user(store: MessageStore) -> None:
    exchange = await store.begin(question(user_id="anna", title="Locks"))

    session = await store.session("anna", exchange.session_id)
    assert (session.title, session.user_id, session.key) == ("Locks", "anna", exchange.session_key)
    user, _, random = session.key.rpartition("-")
    assert (user, len(bytes.fromhex(random))) == ("anna", 3)


async def test_a_session_without_a_title_takes_the_first_exchange_s_and_keeps_it(store: MessageStore) -> None:
    session = await store.create_session("local", "")

    await store.begin(question(session.id, title="first"))
    await store.begin(question(session.id, title="second"))

    assert (await store.session("local", session.id)).title == "first"


async def test_a_title_is_cut_to_120_characters(store: MessageStore) -> None:
    session = await store.create_session("local", "🙂" * 200)

    assert session.title == "🙂" * 120
    assert await store.session("local", session.id) == session


async def test_many_who_ask_at_once_each_get_their_own_reply(store: MessageStore) -> None:
    session = await store.create_session("local", "")
    asked = [question(session.id if number % 2 else None, content=str(number)) for number in range(300)]

    exchanges = await asyncio.gather(*map(store.begin, asked))

    for new, exchange in zip(asked, exchanges, strict=True):
        reply = await store.reply("local", new.stream_id)
        assert (reply.id, reply.session_id) == (exchange.assistant_message_id, exchange.session_id)
    shared = await store.messages("local", session.id, limit=1000)
    assert [message.content for message in shared if message.role == "user"] == [
        str(number) for number in range(1, 300, 2)
    ]
    assert [message.role for message in shared] == ["user", "assistant"] * 150


async def test_an_exchange_is_found_again_by_its_stream(store: MessageStore) -> None:
    session = await store.create_session("local", "")
    streams = ["s1", "s2", "s3"]
    begun = [await store.begin(question(session.id, stream_id=stream)) for stream in streams]
    await store.begin(question(stream_id="elsewhere"))

    assert [await store.exchange("local", stream) for stream in streams] == begun


async def test_an_exchange_says_whether_its_session_was_made_for_it(store: MessageStore) -> None:
    opening = await store.begin(question(stream_id="s1"))
    going_on = await store.begin(question(opening.session_id, stream_id="s2"))
    session = await store.session("local", opening.session_id)
    (_, reply, *_) = await store.messages("local", opening.session_id)

    assert [opening.opens_session, going_on.opens_session] == [True, False]
    assert (opening.session_uuid, opening.assistant_message_uuid) == (session.uuid, reply.uuid)
    assert [await store.exchange("local", stream) for stream in ("s1", "s2")] == [opening, going_on]


async def test_a_stream_id_that_was_used_fails_its_caller_alone_and_saves_nothing(
    store: MessageStore,
) -> None:
    await store.begin(question(stream_id="s1"))

    outcomes = await asyncio.gather(
        store.begin(question(user_id="x", stream_id="s1")),
        store.begin(question(user_id="y")),
        return_exceptions=True,
    )

    assert isinstance(outcomes[0], StorageFailed)
    assert await store.sessions("x") == []
    assert len(await store.sessions("y")) == 1


async def test_a_caller_that_gives_up_while_it_waits_saves_nothing_and_harms_nobody(
    store: MessageStore,
) -> None:
    given_up = asyncio.ensure_future(store.begin(question(user_id="gone")))
    others = [asyncio.ensure_future(store.begin(question())) for _ in range(3)]
    await asyncio.sleep(0)  # each has queued its question, and the writer has not run yet
    given_up.cancel()

    await asyncio.wait(others)

    assert [other.exception() for other in others] == [None] * 3
    assert given_up.cancelled()
    assert await store.sessions("gone") == []


async def test_the_author_of_a_question_is_the_user_unless_another_is_named(store: MessageStore) -> None:
    exchange = await store.begin(question(user_id="anna"))
    await store.begin(
        question(exchange.session_id, user_id="anna", author=Author("device", "robot-1"), stream_id="s2")
    )

    asked, _, by_device, reply = await store.messages("anna", exchange.session_id)
    assert (asked.author, by_device.author) == (Author("user", "anna"), Author("device", "robot-1"))
    assert reply.author == Author("assistant", None)


async def test_the_author_of_a_reply_is_the_model_that_made_it(store: MessageStore) -> None:
    exchange = await store.begin(question())
    await store.finish(answer(exchange, model="tiny:1b"))

    _, reply = await both(store, exchange.session_id)
    assert reply.author == Author("assistant", "tiny:1b")


async def test_a_session_is_one_path_of_messages(store: MessageStore) -> None:
    first = await store.begin(question())
    other = await store.begin(question())
    await asyncio.gather(*(store.begin(question(first.session_id)) for _ in range(3)))

    ids = [message.id for message in await store.messages("local", first.session_id)]
    parents = [message.parent_id for message in await store.messages("local", first.session_id)]
    assert parents == [None, *ids[:-1]]
    asked, replied = await both(store, other.session_id)
    assert (asked.parent_id, replied.parent_id) == (None, asked.id)
