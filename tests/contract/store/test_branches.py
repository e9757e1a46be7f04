"""Contract of message stores: questions that are answered again, edited, or continued with tools."""

from typing import Literal

import pytest

from gateway.contract.branches import FIRST, Branch, Spot
from gateway.contract.errors import NotFound
from gateway.contract.events import Status
from gateway.contract.exchanges import Exchange
from gateway.contract.store import MessageStore, StoredMessage
from tests.store.exchanges import answer, question


async def put(
    store: MessageStore,
    session_id: int | None,
    content: str,
    branch: Branch | Spot | None = None,
    reply: str = "…",
) -> Exchange:
    exchange = await store.begin(question(session_id, content=content, branch=branch))
    assert await store.finish(answer(exchange, reply))
    return exchange


async def path(store: MessageStore, session_id: int) -> list[str]:
    """The contents on the path, as the client and as the model get them."""
    shown = await store.messages("local", session_id, path=True)
    _, told = await store.history("local", session_id, max_chars=10_000)
    assert list(told) == list(shown)
    return [message.content for message in shown]


async def everything(store: MessageStore, session_id: int) -> list[StoredMessage]:
    return list(await store.messages("local", session_id))


@pytest.mark.parametrize("named", ["uuid", "stream", "text"])
async def test_a_question_that_is_answered_again_is_stored_once_with_both_answers(
    store: MessageStore, named: str
) -> None:
    hi = await put(store, None, "Hi", reply="Hello")
    first = await put(store, hi.session_id, "Why?", reply="Because.")
    stream_id = (await everything(store, hi.session_id))[1].stream_id
    after = {"uuid": hi.assistant_message_uuid, "stream": stream_id, "text": None}[named]

    again = await put(store, hi.session_id, "Why?", Branch(after, "again"), reply="It is so.")

    kept = await everything(store, hi.session_id)
    assert [message.content for message in kept] == ["Hi", "Hello", "Why?", "Because.", "It is so."]
    assert [message.parent_id for message in kept[3:]] == [first.user_message_id] * 2
    assert (again.user_message_id, again.new_question, first.new_question) == (
        first.user_message_id,
        False,
        True,
    )
    assert await store.exchange("local", kept[4].stream_id or "") == again
    assert await path(store, hi.session_id) == ["Hi", "Hello", "Why?", "It is so."]


async def test_the_first_question_is_answered_again_too(store: MessageStore) -> None:
    hi = await put(store, None, "Hi", reply="Hello")

    await put(store, hi.session_id, "Hi", Branch(FIRST, "again"), reply="Good day")

    assert [message.parent_id for message in await everything(store, hi.session_id)] == [
        None,
        hi.user_message_id,
        hi.user_message_id,
    ]
    assert await path(store, hi.session_id) == ["Hi", "Good day"]


async def test_an_edited_question_stands_beside_the_one_before(store: MessageStore) -> None:
    hi = await put(store, None, "Hi", reply="Hello")
    await put(store, hi.session_id, "Why?", reply="Because.")

    await put(store, hi.session_id, "How?", Branch(hi.assistant_message_uuid), reply="So.")
    await put(store, hi.session_id, "Thanks", reply="Welcome")

    assert len(await everything(store, hi.session_id)) == 8
    assert await path(store, hi.session_id) == ["Hi", "Hello", "How?", "So.", "Thanks", "Welcome"]


@pytest.mark.parametrize(
    ("asked", "shown"), [("again", ["How?", "So."]), ("now", ["Hi", "Hello", "How?", "So."])]
)
async def test_another_first_question_replaces_the_conversation_only_if_it_is_asked_again(
    store: MessageStore, asked: Literal["again", "now"], shown: list[str]
) -> None:
    hi = await put(store, None, "Hi", reply="Hello")

    await put(store, hi.session_id, "How?", Branch(FIRST, asked), reply="So.")

    assert await path(store, hi.session_id) == shown


async def test_a_reply_that_goes_on_after_a_tool_follows_the_first_part(store: MessageStore) -> None:
    asked = await put(store, None, "Weather?", reply="Let me look.")
    stays = Branch(asked.assistant_message_uuid, "answered")
    second = await put(store, asked.session_id, "Weather?", stays, reply="Again.")

    third = await put(store, asked.session_id, "Weather?", stays, reply="It is grey.")
    await put(store, asked.session_id, "Thanks", Branch(asked.assistant_message_uuid), reply="Welcome")

    kept = await everything(store, asked.session_id)
    assert [message.parent_id for message in kept] == [None, 1, 2, 3, 4, 5]
    assert [second.user_message_id, third.user_message_id] == [asked.user_message_id] * 2
    assert (await store.exchange("local", kept[3].stream_id or "")).user_message_id == 1
    shown = ["Weather?", "Let me look.", "Again.", "It is grey.", "Thanks", "Welcome"]
    assert await path(store, asked.session_id) == shown


async def test_a_tool_round_of_a_client_without_ids_is_found_by_its_question(store: MessageStore) -> None:
    one = await put(store, None, "One?", reply="tool")
    other = await put(store, one.session_id, "Two?", reply="tool")

    first = await put(store, one.session_id, "One?", Branch(None, "answered"), reply="1")
    second = await put(store, one.session_id, "Two?", Branch(None, "answered"), reply="2")
    unknown = await put(store, one.session_id, "Three?", Branch(None, "answered"), reply="3")

    parents = [message.parent_id for message in await everything(store, one.session_id)]
    assert parents[4:6] == [one.assistant_message_id, other.assistant_message_id]
    assert [first.new_question, second.new_question, unknown.new_question] == [False, False, True]


@pytest.mark.parametrize("status", ["failed", "cancelled", "interrupted"])
async def test_a_question_that_is_sent_again_after_it_was_in_vain_is_stored_once(
    store: MessageStore, status: Status
) -> None:
    one = await put(store, None, "One?", reply="1")
    for content in ("Hi", "Other?"):
        asked = await store.begin(question(one.session_id, content=content, branch=Branch(None)))
        assert await store.finish(answer(asked, "Hel", status=status, reason="error"))

    again = await put(store, one.session_id, "Hi", Branch(None), reply="Hello")
    later = await put(store, one.session_id, "Hi", Branch(None), reply="Hello again")

    assert (again.new_question, later.new_question) == (False, True)
    kept = await everything(store, one.session_id)
    told = ["One?", "1", "Hi", "Hel", "Other?", "Hel", "Hello", "Hi", "Hello again"]
    assert [message.content for message in kept] == told
    assert await path(store, one.session_id) == ["One?", "1", "Hi", "Hello", "Hi", "Hello again"]


async def test_two_clients_with_one_question_at_one_time_ask_two_questions(store: MessageStore) -> None:
    one = await put(store, None, "One?", reply="1")
    for _ in range(2):
        asked = await store.begin(question(one.session_id, content="Hi", branch=Branch(None)))
        assert asked.new_question


async def test_a_place_that_is_unknown_is_that_after_the_latest_message(store: MessageStore) -> None:
    hi = await put(store, None, "Hi", reply="Hello")
    elsewhere = await put(store, None, "Hi", reply="Hello")

    for after in ("no-such-reply", elsewhere.assistant_message_uuid, None):
        added = await put(store, hi.session_id, "Hi", Branch(after))
        assert added.new_question
    assert [message.parent_id for message in await everything(store, hi.session_id)] == [
        None, 1, 2, 5, 6, 7, 8, 9,
    ]  # fmt: skip


async def test_a_path_of_many_messages_is_read_whole(store: MessageStore) -> None:
    first = await put(store, None, "0", reply="0")
    for number in range(1, 130):
        await put(store, first.session_id, str(number), reply="" if number % 2 else str(number))
    await put(store, first.session_id, "129", Branch(None, "again"), reply="instead")

    _, told = await store.history("local", first.session_id, max_chars=10_000)

    expected = [text for number in range(130) for text in ([str(number)] * (1 if number % 2 else 2))]
    assert [message.content for message in told] == [*expected, "instead"]


async def test_a_reply_is_stored_beside_the_one_of_a_question_that_is_named_by_its_id(
    store: MessageStore,
) -> None:
    hi = await put(store, None, "Hi", reply="Hello")
    why = await put(store, hi.session_id, "Why?", reply="Because.")

    again = await put(
        store, hi.session_id, "Why?", Spot(why.user_message_id, why.user_message_id), reply="So."
    )
    edited = await put(store, hi.session_id, "How?", Spot(hi.assistant_message_id), reply="Thus.")
    first = await put(store, hi.session_id, "Hey", Spot(None), reply="Hey yourself")

    kept = {message.id: message for message in await everything(store, hi.session_id)}
    assert kept[again.assistant_message_id].parent_id == again.user_message_id == why.user_message_id
    assert kept[edited.user_message_id].parent_id == hi.assistant_message_id
    assert kept[first.user_message_id].parent_id is None
    assert (again.new_question, edited.new_question, first.new_question) == (False, True, True)
    assert await path(store, hi.session_id) == ["Hey", "Hey yourself"]


async def test_each_message_of_a_path_has_its_siblings(store: MessageStore) -> None:
    hi = await put(store, None, "Hi", reply="Hello")
    spot = Spot(hi.user_message_id, hi.user_message_id)
    again = await put(store, hi.session_id, "Hi", spot, reply="Good day")
    hey = await put(store, hi.session_id, "Hey", Spot(None), reply="Hey yourself")
    await store.choose("local", again.assistant_message_id)

    shown = await store.messages("local", hi.session_id, path=True)
    last = await store.messages("local", hi.session_id, path=True, after=hi.user_message_id)

    questions = (hi.user_message_id, hey.user_message_id)
    replies = (hi.assistant_message_id, again.assistant_message_id)
    assert [message.siblings for message in shown] == [questions, replies]
    assert [message.siblings for message in last] == [replies]
    assert all(not message.siblings for message in await everything(store, hi.session_id))


async def test_a_session_shows_the_branch_that_is_chosen_until_the_next_exchange(store: MessageStore) -> None:
    hi = await put(store, None, "Hi", reply="Hello")
    await put(store, hi.session_id, "Why?", reply="Because.")
    later = await put(store, hi.session_id, "And?", reply="That is all.")
    how = await put(store, hi.session_id, "How?", Spot(hi.assistant_message_id), reply="So.")
    latest = ["Hi", "Hello", "How?", "So."]
    assert await path(store, hi.session_id) == latest

    chosen = await store.choose("local", hi.assistant_message_id + 1)
    old = ["Hi", "Hello", "Why?", "Because.", "And?", "That is all."]
    assert chosen.leaf_id == later.assistant_message_id
    assert await store.session("local", hi.session_id) == chosen
    assert await path(store, hi.session_id) == old

    assert (await store.choose("local", how.user_message_id)).leaf_id is None
    assert await path(store, hi.session_id) == latest

    await store.choose("local", later.user_message_id)
    await put(store, hi.session_id, "Thanks", reply="Welcome")
    assert await path(store, hi.session_id) == [*old, "Thanks", "Welcome"]
    assert (await store.session("local", hi.session_id)).leaf_id is None


async def test_a_session_shows_its_latest_message_once_the_chosen_one_is_gone(store: MessageStore) -> None:
    hi = await put(store, None, "Hi", reply="Hello")
    spot = Spot(hi.user_message_id, hi.user_message_id)
    await put(store, hi.session_id, "Hi", spot, reply="Good day")
    await store.choose("local", hi.assistant_message_id)
    assert await path(store, hi.session_id) == ["Hi", "Hello"]
    stream_id = (await everything(store, hi.session_id))[1].stream_id

    await store.delete_reply("local", stream_id or "")

    assert await path(store, hi.session_id) == ["Hi", "Good day"]


async def test_a_history_ends_at_any_message(store: MessageStore) -> None:
    hi = await put(store, None, "Hi", reply="Hello")
    await put(store, hi.session_id, "Why?", reply="Because.")
    await put(store, hi.session_id, "Hey", Spot(None), reply="Hey yourself")

    _, told = await store.history("local", hi.session_id, max_chars=1000, last_id=hi.assistant_message_id)

    assert [message.content for message in told] == ["Hi", "Hello"]


async def test_a_place_that_does_not_exist_is_refused(store: MessageStore) -> None:
    hi = await put(store, None, "Hi", reply="Hello")
    other = await put(store, None, "Other", reply="Other")

    for spot in (Spot(99), Spot(99, 99), Spot(other.user_message_id, other.user_message_id)):
        with pytest.raises(NotFound, match="No such message"):
            await store.begin(question(hi.session_id, branch=spot))

    assert len(await everything(store, hi.session_id)) == 2


async def test_messages_are_read_and_chosen_by_their_owner_only(store: MessageStore) -> None:
    hi = await put(store, None, "Hi", reply="Hello")

    read = await store.message("local", hi.assistant_message_id)

    assert read == (await everything(store, hi.session_id))[1]
    for user, id in (("eve", hi.assistant_message_id), ("local", 99), ("local", 0), ("local", 2**80)):
        with pytest.raises(NotFound, match="No such message"):
            await store.message(user, id)
        with pytest.raises(NotFound, match="No such message"):
            await store.choose(user, id)
